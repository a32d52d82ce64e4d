import RunCore

/// What the journal keeps of a matrix that has been decomposed for its spectrum, besides arrays.
struct SpectrumRecord: RecordContents {
  static let currentVersion = 1

  /// Why the usual solver's result was refused; nil normally.
  let rescue: String?
  /// Singular values below it are not known, in the units of the weights; 0 if all are.
  let resolution: Double
  /// Doubles, in the units of the weights: of each kernel position in turn.
  let singularValues: [RecordSection]
  /// The same of each shuffled copy.
  let replicas: [[RecordSection]]
  /// Doubles, four for each singular vector: eigenvalue, entropy, localization and participation ratio; nil if not asked for.
  let vectors: RecordSection?
  /// Leading singular vectors on the side of the residual stream, Doubles, column-major; nil if not asked for.
  let leading: RecordSection?
}
