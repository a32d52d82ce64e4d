import ShardIO

/// The tensors of a checkpoint as a plan sees them: by header or list of shapes alone.
public struct PlannedTensors: Sendable {
  /// A tensor that is no part of the work, and why.
  public struct Other: Sendable {
    /// The tensor.
    public let info: TensorInfo
    /// Why it is left out, or why `mask` refuses the checkpoint.
    public let reason: String
  }

  /// By ordinal.
  public let matrices: [Catalog.Matrix]
  /// In order of name.
  public let skipped: [Other]
  /// In order of name; `mask` stops at the first.
  public let refused: [Other]
  /// How many of ``matrices`` are of 8-bit floating point: planned, though `mask` of this version refuses them.
  public let eightBitCount: Int

  /// Sorts out the tensors of `checkpoint`.
  ///
  /// - Throws: ``RunFailure`` if no matrix is left, or a pattern matches nothing.
  public init(_ checkpoint: Checkpoint, filter: NameFilter) throws {
    var matrices: [Catalog.Matrix] = []
    var skipped: [Other] = []
    var refused: [Other] = []
    var eightBitCount = 0
    for entry in try Catalog.classify(checkpoint, filter: filter) {
      let info = entry.tensor.info
      switch entry.tensorClass {
      case .skipped(let reason):
        skipped.append(Other(info: info, reason: reason))
        continue
      case .refused(let reason):
        guard TensorClass.isEightBitMatrix(name: info.name, dtype: info.dtype, shape: info.shape) else {
          refused.append(Other(info: info, reason: reason))
          continue
        }
        eightBitCount += 1
      case .matrix: break
      }
      matrices.append(
        Catalog.Matrix(
          name: info.name, dtype: info.dtype, rows: info.shape[0], columns: info.shape[1], shard: entry.tensor.shard,
          offset: info.byteRange.lowerBound, byteCount: info.byteRange.count))
    }
    guard !matrices.isEmpty else {
      let first = refused.first.map { "; tensor \(quoted($0.info.name)) \($0.reason)" } ?? ""
      throw RunFailure(
        .data,
        "\(shown(checkpoint.path)) holds no weight matrix that can be planned "
          + "(\(checkpoint.tensors.count) tensors\(first))")
    }
    self.matrices = matrices
    self.skipped = skipped
    self.refused = refused
    self.eightBitCount = eightBitCount
  }
}
