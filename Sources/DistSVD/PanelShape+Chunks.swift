extension PanelShape {
  /// Sums over the streaming side have at most this many partial sums.
  static let mostChunks = 16
  /// Elements of one panel of such a sum.
  static let chunkPanelElements = 1 << 21

  /// The streaming side in at most ``mostChunks`` chunks, each a list of panels.
  ///
  /// A sum over the stream is formed chunk by chunk, each in order of its panels, and the chunks are added in order. The cut depends on the
  /// shape alone, so the result does not depend on which rank forms which chunk. Chunks of small matrices are at least 64 long.
  var chunks: [[Range<Int>]] {
    let chunk = max(64, (stream + Self.mostChunks * 16 - 1) / (Self.mostChunks * 16) * 16)
    let panel = min(chunk, max(64, Self.chunkPanelElements / max(core, 1) / 16 * 16))
    return stride(from: 0, to: stream, by: chunk).map { start in
      let end = min(stream, start + chunk)
      return stride(from: start, to: end, by: panel).map { $0..<min(end, $0 + panel) }
    }
  }

  /// The length of the longest panel of ``chunks``.
  var longestChunkPanel: Int { chunks.first?.first?.count ?? 0 }
}
