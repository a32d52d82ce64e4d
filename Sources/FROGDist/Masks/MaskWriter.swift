import ShardIO

/// Writes the kept weights, scores and noise factors of this rank's matrices to their places.
struct MaskWriter {
  let layout: MaskLayout
  let spill: CandidateSpill

  /// Writes one matrix into its file.
  ///
  /// - Returns: where its kept weights lie; nil if there are none.
  func write(_ matrix: ScoredMatrix, to file: borrowing DurableFile) throws -> Concentration? {
    let tensors = layout.tensors[matrix.ordinal]
    var counts = KeptCounts(rows: tensors.rows, columns: tensors.columns)
    var scores = try RegionWriter<Float>(layout.range(of: tensors.scoresName, in: matrix.ordinal))
    switch (tensors.format, tensors.needsWideIndices) {
    case (.bitmap, _):
      var bitmap = try BitmapWriter(
        layout.range(of: tensors.bitmapName, in: matrix.ordinal), columns: tensors.columns,
        stride: tensors.bitmapStride)
      try matrix.forEachStored { index, score in
        counts.add(index)
        try bitmap.set(index, in: file)
        try scores.append(score, to: file)
      }
      try bitmap.flush(to: file)
    case (_, false): try writeIndices(Int32.self, of: matrix, tensors, &counts, scores: &scores, to: file)
    case (_, true): try writeIndices(Int64.self, of: matrix, tensors, &counts, scores: &scores, to: file)
    }
    try scores.finish(file)
    try writeNoise(matrix, tensors, to: file)
    return counts.concentration
  }

  private func writeIndices<Index: FixedWidthInteger & BitwiseCopyable>(
    _ type: Index.Type, of matrix: ScoredMatrix, _ tensors: MaskTensors, _ counts: inout KeptCounts,
    scores: inout RegionWriter<Float>, to file: borrowing DurableFile
  ) throws {
    var indices = try RegionWriter<Index>(layout.range(of: tensors.indicesName, in: matrix.ordinal))
    try matrix.forEachStored { index, score in
      counts.add(index)
      try indices.append(Index(index), to: file)
      try scores.append(score, to: file)
    }
    try indices.finish(file)
  }

  private func writeNoise(_ matrix: ScoredMatrix, _ tensors: MaskTensors, to file: borrowing DurableFile) throws {
    var offset = matrix.noise.offset
    for (name, count) in [(tensors.noiseRowName, tensors.rows), (tensors.noiseColumnName, tensors.columns)] {
      let factors = try spill.read(Float.self, count: count, at: offset)
      offset += count * MemoryLayout<Float>.stride
      let start = try layout.range(of: name, in: matrix.ordinal).lowerBound
      try factors.withUnsafeBytes { try file.write($0, at: start) }
    }
  }
}

extension ScoredMatrix {
  /// Calls `body` with the kept weights, in order of flat index, and their scores in the units in which they are stored.
  fileprivate func forEachStored(_ body: (_ index: Int, _ score: Float) throws -> Void) throws {
    let factor = 1.0.times(powerOfTwo: units.storedShift)
    guard factor != 1 else { return try candidates.forEachKept(by: cut, body) }
    try candidates.forEachKept(by: cut) { try body($0, Float(Double($1) * factor)) }
  }
}

/// Fills one tensor of a file from its first element to its last.
private struct RegionWriter<Element: BitwiseCopyable> {
  private let region: Range<Int>
  private var next: Int
  private var buffer: [Element] = []

  init(_ region: Range<Int>) {
    self.region = region
    next = region.lowerBound
  }

  mutating func append(_ element: Element, to file: borrowing DurableFile) throws {
    buffer.append(element)
    if buffer.count == 1 << 16 { try flush(to: file) }
  }

  /// The tensor must be full: a count that was promised in the header and not kept would leave zeros behind.
  mutating func finish(_ file: borrowing DurableFile) throws {
    try flush(to: file)
    guard next == region.upperBound else {
      throw RunFailure(.internal, "\(next - region.lowerBound) bytes were written of \(region.count) laid out")
    }
  }

  private mutating func flush(to file: borrowing DurableFile) throws {
    let bytes = buffer.count * MemoryLayout<Element>.stride
    guard next + bytes <= region.upperBound else {
      throw RunFailure(.internal, "more weights were selected than laid out")
    }
    try buffer.withUnsafeBytes { try file.write($0, at: next) }
    next += bytes
    buffer.removeAll(keepingCapacity: true)
  }
}

/// Sets bits of a `[m, ceil(n/8)]` tensor, little bit order, at ascending flat indices; the file is zero where it was reserved.
private struct BitmapWriter {
  private static let windowBytes = 1 << 18

  private let region: Range<Int>
  private let columns: Int
  private let stride: Int
  private var windowStart = 0
  private var window = [UInt8](repeating: 0, count: windowBytes)

  init(_ region: Range<Int>, columns: Int, stride: Int) {
    self.region = region
    self.columns = columns
    self.stride = stride
  }

  mutating func set(_ index: Int, in file: borrowing DurableFile) throws {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns)
    let byte = row * stride + column / 8
    if byte >= windowStart + Self.windowBytes {
      try flush(to: file)
      windowStart = byte
    }
    window[byte - windowStart] |= 1 << UInt8(column % 8)
  }

  mutating func flush(to file: borrowing DurableFile) throws {
    let count = min(Self.windowBytes, region.count - windowStart)
    try window.withUnsafeBytes {
      try file.write(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: region.lowerBound + windowStart)
    }
    for index in window.indices { window[index] = 0 }
  }
}
