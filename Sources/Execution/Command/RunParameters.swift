import RunCore
import Weights

/// The options that every command has and that shape the result, as documents record them.
package struct TensorParameters: Codable, Sendable, Equatable, ShapingOptions {
  /// Patterns of tensors that count even if they would be left out.
  package var include: [String]
  /// Patterns of tensors that are left out.
  package var exclude: [String]
  /// Whether convolutions count; nil if the kind of model decides.
  @ExplicitNull package var conv: Bool?
  /// Whether fused projections are taken apart.
  package var splitFused: Bool
  /// The number of BLAS threads of each rank, which changes the order of sums and so their last bits.
  package var threads: Int

  enum CodingKeys: String, CodingKey {
    case include, exclude, conv, threads
    case splitFused = "split_fused"
  }

  package init(_ options: CatalogOptions, threads: Int) {
    include = options.filter.include
    exclude = options.filter.exclude
    conv = options.conv
    splitFused = options.splitFused
    self.threads = threads
  }

  package var words: OptionWords {
    var words = OptionWords()
    words.add("--include", include)
    words.add("--exclude", exclude)
    words.add("--conv", conv)
    words.add("--split-fused", splitFused)
    words.add("--threads", threads)
    return words
  }

  /// The choice of tensors that these options make.
  package var catalogOptions: CatalogOptions {
    var options = CatalogOptions()
    options.filter = NameFilter(include: include, exclude: exclude)
    options.conv = conv
    options.splitFused = splitFused
    return options
  }
}

/// The options of a run as one object of its document: those of the command alone, and those of every command.
///
/// The members of `Own` are also members of this value. None of them may have the name of a member of ``TensorParameters``, since both are
/// encoded into one object.
@dynamicMemberLookup
package struct RunParameters<Own: Codable & Sendable & Equatable & ShapingOptions>: Codable, Sendable, Equatable,
  ShapingOptions
{
  /// The options that the command alone has.
  package var own: Own
  /// The options that every command has.
  package var tensors: TensorParameters

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

  package var words: OptionWords {
    var words = own.words
    words.add(tensors.words)
    return words
  }

  package subscript<Value>(dynamicMember member: WritableKeyPath<Own, Value>) -> Value {
    get { own[keyPath: member] }
    set { own[keyPath: member] = newValue }
  }

  package subscript<Value>(dynamicMember member: KeyPath<Own, Value>) -> Value { own[keyPath: member] }
}
