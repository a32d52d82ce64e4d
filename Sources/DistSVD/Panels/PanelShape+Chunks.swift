extension PanelShape {
  /// Sums over the streaming side have at most this many partial sums.
  static let mostChunks = 16
  /// A Gram matrix has fewer, since each is as large as it.
  static let gramChunks = 4
  /// Elements of one panel of such a sum.
  static let chunkPanelElements = 1 << 21

  /// The streaming side in at most ``mostChunks`` chunks, each a list of panels.
  ///
  /// A sum over the stream is formed chunk by chunk, each in order of its panels, and the chunks are added in order. The cut depends on the
  /// shape alone, so the result does not depend on which rank forms which chunk. Chunks of small matrices are at least 64 long.
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
