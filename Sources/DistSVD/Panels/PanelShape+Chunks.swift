extension PanelShape {
  /// The most partial sums of a sum over the streaming side.
  static let mostChunks = 16
  /// The partial sums of a Gram matrix. They are fewer, since each is as large as the matrix.
  static let gramChunks = 4
  /// Elements of one panel of a chunk.
  static let chunkPanelElements = 1 << 21

  /// The streaming side in at most ``mostChunks`` chunks, each a list of panels.
  ///
  /// The panels of a chunk are added in their order, and the chunks in theirs. The cut depends on the shape alone, so
  /// the sum does not depend on which rank forms which chunk. A chunk is at least 64 long, so small matrices have fewer
  /// chunks.
  var chunks: [[Range<Int>]] {
    let (chunk, panel) = (chunkLength, chunkPanelLength)
    return stride(from: 0, to: stream, by: chunk).map { start in
      let end = min(stream, start + chunk)
      return stride(from: start, to: end, by: panel).map { $0..<min(end, $0 + panel) }
    }
  }

  /// The length of all chunks but the last.
  private var chunkLength: Int { max(64, ((stream - 1) / (Self.mostChunks * 16) + 1) * 16) }

  /// The length of all panels of a chunk but the last.
  private var chunkPanelLength: Int {
    min(chunkLength, max(64, Self.chunkPanelElements / max(core, 1) / 16 * 16))
  }

  /// The length of the longest panel of ``chunks``.
  var longestChunkPanel: Int { min(stream, chunkPanelLength) }
}
