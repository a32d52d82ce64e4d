import RunCore
import Weights

/// What a document says of the options that every command has and that shape the result.
package struct TensorParameters: Codable, Sendable, Equatable {
  /// Patterns of tensors that were brought in.
  package var include: [String]
  /// Patterns of tensors that were left out.
  package var exclude: [String]
  /// Whether convolutions count; nil if that was left to the kind of model.
  @ExplicitNull package var conv: Bool?
  /// Whether fused projections were taken apart.
  package var splitFused: Bool
  /// BLAS threads of each rank: they change the order of sums, and so last bits.
  package var threads: Int

  enum CodingKeys: String, CodingKey {
    case include, exclude, conv, threads
    case splitFused = "split_fused"
  }

  /// The options of a run with so many threads.
  package init(_ options: CatalogOptions, threads: Int) {
    include = options.filter.include
    exclude = options.filter.exclude
    conv = options.conv
    splitFused = options.splitFused
    self.threads = threads
  }

  /// Which tensors count.
  package var catalogOptions: CatalogOptions {
    var options = CatalogOptions()
    options.filter = NameFilter(include: include, exclude: exclude)
    options.conv = conv
    options.splitFused = splitFused
    return options
  }
}

/// The options of a run in its document, one object: those that the command alone has, and those that every command has.
///
/// The members of `Own` are also members of this value. None of them may have the name of one of ``TensorParameters``.
@dynamicMemberLookup
package struct RunParameters<Own: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
  /// The options of the command.
  package var own: Own
  /// The options of every command.
  package var tensors: TensorParameters

  /// Both together.
  package init(_ own: Own, _ tensors: TensorParameters) {
    self.own = own
    self.tensors = tensors
  }

  package init(from decoder: any Decoder) throws {
    own = try Own(from: decoder)
    tensors = try TensorParameters(from: decoder)
  }

  package func encode(to encoder: any Encoder) throws {
    try own.encode(to: encoder)
    try tensors.encode(to: encoder)
  }

  package subscript<Value>(dynamicMember member: WritableKeyPath<Own, Value>) -> Value {
    get { own[keyPath: member] }
    set { own[keyPath: member] = newValue }
  }

  package subscript<Value>(dynamicMember member: KeyPath<Own, Value>) -> Value { own[keyPath: member] }
}
