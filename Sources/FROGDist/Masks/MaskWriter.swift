import RunCore
import ShardIO
import Weights

/// Writes the kept weights, scores and noise factors of this rank's matrices to their places in the files.
struct MaskWriter {
  let catalog: Catalog
  let layout: MaskLayout

  /// Writes one matrix into its file.
  ///
  /// - Returns: what is told of the kept weights.
  func write(_ matrix: ScoredMatrix, to file: borrowing DurableFile) throws -> KeptSummary {
    let (tensors, expert) = layout.place(of: matrix.ordinal)
    let slice = catalog.matrices[matrix.ordinal].slice
    var counts = KeptCounts(rows: tensors.rows, columns: tensors.columns)
    // 1. Find the places of the matrix.
    let kept = tensors.keptRange(of: expert)
    func region(_ name: String, _ elements: Range<Int>, _ width: Int) throws -> Range<Int> {
      let start = try layout.range(of: name, in: matrix.ordinal).lowerBound
      return start + elements.lowerBound * width..<start + elements.upperBound * width
    }
    var scores = RegionWriter<Float>(try region(tensors.scoresName, kept, 4))
    // 2. Write mask and scores side by side, in order of flat index.
    switch (tensors.format, tensors.needsWideIndices) {
    case (.bitmap, _):
      let bytes = tensors.rows * tensors.bitmapStride
      var bitmap = BitmapWriter(
        try region(tensors.bitmapName, expert * bytes..<(expert + 1) * bytes, 1), columns: tensors.columns,
        stride: tensors.bitmapStride)
      try matrix.forEachStored { index, score in
        counts.add(index, score: score)
        try bitmap.set(index, in: file)
        try scores.append(score, to: file)
      }
      try bitmap.flush(to: file)
    case (_, false):
      var indices = RegionWriter<Int32>(try region(tensors.indicesName, kept, 4))
      try writeIndices(&indices, of: matrix, slice, &counts, scores: &scores, to: file)
    case (_, true):
      var indices = RegionWriter<Int64>(try region(tensors.indicesName, kept, 8))
      try writeIndices(&indices, of: matrix, slice, &counts, scores: &scores, to: file)
    }
    // 3. Write the noise factors.
    try scores.finish(file)
    try writeNoise(
      matrix, row: region(tensors.noiseRowName, expert * tensors.rows..<(expert + 1) * tensors.rows, 4),
      column: region(tensors.noiseColumnName, expert * tensors.columns..<(expert + 1) * tensors.columns, 4), to: file)
    return counts.summary
  }

  private func writeIndices<Index: FixedWidthInteger & BitwiseCopyable>(
    _ indices: inout RegionWriter<Index>, of matrix: ScoredMatrix, _ slice: TensorSlice, _ counts: inout KeptCounts,
    scores: inout RegionWriter<Float>, to file: borrowing DurableFile
  ) throws {
    try matrix.forEachStored { index, score in
      counts.add(index, score: score)
      try indices.append(Index(slice.storedPosition(of: index)), to: file)
      try scores.append(score, to: file)
    }
    try indices.finish(file)
  }

  private func writeNoise(
    _ matrix: ScoredMatrix, row: Range<Int>, column: Range<Int>, to file: borrowing DurableFile
  ) throws {
    let factors = try RecordReader(matrix.candidates.path).read(matrix.record.noise, of: Float.self)
    let rows = row.count / MemoryLayout<Float>.stride
    for (region, part) in [(row, factors[..<rows]), (column, factors[rows...])] {
      try part.withUnsafeBytes { try file.write($0, at: region.lowerBound) }
    }
  }
}

extension ScoredMatrix {
  /// Calls `body` with the kept weights, in order of flat index, and with their scores in the units in which they are stored.
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

  /// Writes what is left. The tensor must then be full: if fewer weights came than the header promises, zeros would be left behind.
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

/// Sets bits of a tensor `[m, ceil(n/8)]`, in little bit order, at ascending flat indices.
///
/// The file must be zero there, as it is when it has just been made.
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
