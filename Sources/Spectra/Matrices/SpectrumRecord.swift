import RunCore

/// The journal's record of a matrix that has been decomposed for its spectrum. Its arrays lie beside it in the file.
struct SpectrumRecord: RecordContents {
  static let currentVersion = 1

  /// Why the usual solver's result was refused; nil if it was not.
  let rescue: String?
  /// Singular values below this are not known; in the units of the weights. 0 if all are known.
  let resolution: Double
  /// The singular values of each kernel position in turn: Doubles, in the units of the weights.
  let singularValues: [RecordSection]
  /// The singular values of each shuffled copy, in the same form.
  let replicas: [[RecordSection]]
  /// Four Doubles for each singular vector: eigenvalue, entropy, localization ratio and participation ratio; nil if not asked for.
  let vectors: RecordSection?
  /// The leading singular vectors on the side of the residual stream: Doubles, column-major; nil if not asked for.
  let leading: RecordSection?
}
