import ShardIO
import Spectra
import Weights

/// The matrices of two models that have one name and one shape, and those that do not.
struct ExactPairs {
  /// The pairs: ordinals in both models, ascending in both.
  private(set) var pairs: [(base: Int, tuned: Int)] = []
  /// The ordinals of all other matrices.
  private(set) var left: (base: [Int], tuned: [Int]) = ([], [])
  /// The matrices of one name and different shapes: the tuned model's ordinals by the base's.
  private(set) var reshaped: [Int: Int] = [:]

  /// - Complexity: O(n).
  init(_ base: Catalog, _ tuned: Catalog) {
    let partners = Dictionary(
      tuned.matrices.enumerated().map { (ExactName($0.element.name), $0.offset) },
      uniquingKeysWith: { first, _ in first })
    var known = [Bool](repeating: false, count: tuned.matrices.count)
    for (ordinal, matrix) in base.matrices.enumerated() {
      let partner = partners[ExactName(matrix.name)]
      if let partner, base.hasShape(of: matrix, as: tuned.matrices[partner], in: tuned) {
        pairs.append((ordinal, partner))
        known[partner] = true
      } else {
        left.base.append(ordinal)
        reshaped[ordinal] = partner
      }
    }
    left.tuned = tuned.matrices.indices.filter { !known[$0] }
  }
}

extension Catalog {
  /// The dimensions that must be equal: m and n, or outputs, inputs, height and width of a convolution.
  ///
  /// Kernels of different shapes may have equally many positions.
  func comparedShape(of matrix: Matrix) -> [Int] {
    kernelPositions(of: matrix) == nil ? [matrix.rows, matrix.columns] : tensors[matrix.tensor].shape
  }

  /// Whether two matrices have one shape, in every dimension that must be equal.
  func hasShape(of matrix: Matrix, as other: Matrix, in catalog: Catalog) -> Bool {
    guard (matrix.rows, matrix.columns) == (other.rows, other.columns) else { return false }
    let shapes = (tensors[matrix.tensor].shape, catalog.tensors[other.tensor].shape)
    return shapes.0.count < 4 && shapes.1.count < 4 || comparedShape(of: matrix) == catalog.comparedShape(of: other)
  }
}
