/// How much of a checkpoint the weight matrices are, and what was left out.
///
/// Only floating-point elements are counted, those of 8-bit types included. The shares of ``leftOut`` and ``counted`` add up to 1, but for
/// the rounding.
package struct Coverage: Codable, Sendable, Equatable {
  /// The tensors of one class that were left out for one reason.
  package struct Part: Codable, Sendable, Equatable {
    /// `skipped` or `refused`.
    package let tensorClass: String
    /// The reason, as `inspect` gives it.
    package let reason: String
    /// The number of tensors.
    package internal(set) var tensors: Int
    /// The number of floating-point elements in them.
    package internal(set) var weights: Int
    /// The share of all floating-point elements of the checkpoint.
    package internal(set) var share: Double
    /// The name of the largest of the tensors.
    package internal(set) var largest: String

    /// The reason in short, for a table: reasons of refusals are sentences.
    package var kind: String { tensorClass == "refused" ? tensorClass : reason }

    enum CodingKeys: String, CodingKey {
      case reason, tensors, weights, share, largest
      case tensorClass = "class"
    }
  }

  /// The number of floating-point elements in the checkpoint.
  package let weights: Int
  /// The share of them that belongs to weight matrices, from 0 to 1.
  package let counted: Double
  /// What was left out, largest first.
  package let leftOut: [Part]

  package init(weights: Int = 0, counted: Double = 0, leftOut: [Part] = []) {
    self.weights = weights
    self.counted = counted
    self.leftOut = leftOut
  }

  enum CodingKeys: String, CodingKey {
    case counted
    case weights = "floating_point_weights"
    case leftOut = "left_out"
  }
}
