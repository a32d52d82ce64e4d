import RunCore
import ShardIO
import Weights

/// Writes the mask of one matrix for one target: its kept weights and their scores as they come, then the noise factors.
final class MatrixMask {
  private let file: SharedFile
  private var counts: KeptCounts
  private let positions: any PositionWriter
  private let scores: RegionWriter<Float>
  private let noise: [Range<Int>]

  /// Finds the places of a matrix in the file of its target.
  ///
  /// - Parameter slice: the part of its stored tensor that the matrix is.
  init(_ ordinal: Int, slice: TensorSlice, layout: MaskLayout, file: SharedFile) throws {
    let (tensors, expert) = layout.place(of: ordinal)
    self.file = file
    counts = KeptCounts(rows: tensors.rows, columns: tensors.columns)
    func region(_ name: String, _ elements: Range<Int>, _ width: Int) throws -> Range<Int> {
      let start = try layout.range(of: name, in: ordinal).lowerBound
      return start + elements.lowerBound * width..<start + elements.upperBound * width
    }
    let kept = tensors.keptRange(of: expert)
    scores = RegionWriter(try region(tensors.scoresName, kept, 4), of: file)
    switch (tensors.format, tensors.needsWideIndices) {
    case (.bitmap, _):
      let bytes = tensors.rows * tensors.bitmapStride
      positions = BitmapWriter(
        try region(tensors.bitmapName, expert * bytes..<(expert + 1) * bytes, 1), of: file, columns: tensors.columns,
        stride: tensors.bitmapStride)
    case (_, false): positions = IndexWriter<Int32>(try region(tensors.indicesName, kept, 4), of: file, slice: slice)
    case (_, true): positions = IndexWriter<Int64>(try region(tensors.indicesName, kept, 8), of: file, slice: slice)
    }
    noise = [
      try region(tensors.noiseRowName, expert * tensors.rows..<(expert + 1) * tensors.rows, 4),
      try region(tensors.noiseColumnName, expert * tensors.columns..<(expert + 1) * tensors.columns, 4),
    ]
  }

  /// Adds kept weights. Weights come in order of flat index.
  func add(_ kept: CandidateSet.Kept) throws {
    counts.add(kept.indices, scores: kept.scores)
    try positions.add(kept.indices)
    try scores.append(contentsOf: kept.scores)
  }

  /// Writes what is left.
  ///
  /// - Parameter factors: the noise factors of the rows, then those of the columns.
  /// - Returns: what is told of the kept weights.
  func finish(noise factors: [Float]) throws -> KeptSummary {
    try positions.finish()
    try scores.finish()
    var start = 0
    for region in noise {
      let end = start + region.count / MemoryLayout<Float>.stride
      try factors[start..<end].withUnsafeBytes { try file.file.write($0, at: region.lowerBound) }
      start = end
    }
    return counts.summary
  }
}

/// Writes which weights of a matrix are kept.
private protocol PositionWriter: AnyObject {
  /// Adds kept weights by their flat indices in the matrix. Indices ascend.
  func add(_ indices: [Int]) throws
  /// Writes what is left.
  func finish() throws
}

/// Writes kept weights as positions in the stored tensor.
private final class IndexWriter<Index: FixedWidthInteger & BitwiseCopyable>: PositionWriter {
  private let slice: TensorSlice
  private let stored: RegionWriter<Index>

  init(_ region: Range<Int>, of file: SharedFile, slice: TensorSlice) {
    self.slice = slice
    stored = RegionWriter(region, of: file)
  }

  func add(_ indices: [Int]) throws {
    if slice.isContiguous {
      let first = Index(slice.storedPosition(of: 0))
      try stored.append(contentsOf: indices.map { first + Index($0) })
    } else {
      try stored.append(contentsOf: indices.map { Index(slice.storedPosition(of: $0)) })
    }
  }

  func finish() throws { try stored.finish() }
}

/// Sets bits of a tensor `[m, ceil(n/8)]`, in little bit order, at ascending flat indices.
///
/// The file must be zero there, as it is when it has just been made.
private final class BitmapWriter: PositionWriter {
  private static let windowBytes = 1 << 18

  private let region: Range<Int>
  private let file: SharedFile
  private let columns: Int
  private let stride: Int
  private var windowStart = 0
  private var window = [UInt8](repeating: 0, count: windowBytes)

  init(_ region: Range<Int>, of file: SharedFile, columns: Int, stride: Int) {
    self.region = region
    self.file = file
    self.columns = columns
    self.stride = stride
  }

  func add(_ indices: [Int]) throws {
    for index in indices {
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      let byte = row * stride + column / 8
      if byte >= windowStart + Self.windowBytes {
        try finish()
        windowStart = byte
      }
      window[byte - windowStart] |= 1 << UInt8(column % 8)
    }
  }

  func finish() throws {
    let count = min(Self.windowBytes, region.count - windowStart)
    try window.withUnsafeBytes {
      try file.file.write(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: region.lowerBound + windowStart)
    }
    for index in window.indices { window[index] = 0 }
  }
}

/// Fills one tensor of a file from its first element to its last.
private final class RegionWriter<Element: BitwiseCopyable> {
  private let region: Range<Int>
  private let file: SharedFile
  private var next: Int
  private var buffer: [Element] = []

  init(_ region: Range<Int>, of file: SharedFile) {
    self.region = region
    self.file = file
    next = region.lowerBound
  }

  func append(contentsOf elements: [Element]) throws {
    buffer.append(contentsOf: elements)
    if buffer.count >= 1 << 16 { try flush() }
  }

  /// Writes what is left. The tensor must then be full: if fewer weights came than the header promises, zeros would be left behind.
  func finish() throws {
    try flush()
    guard next == region.upperBound else {
      throw RunFailure(.internal, "\(next - region.lowerBound) bytes were written of \(region.count) laid out")
    }
  }

  private func flush() throws {
    let bytes = buffer.count * MemoryLayout<Element>.stride
    guard next + bytes <= region.upperBound else {
      throw RunFailure(.internal, "more weights were selected than laid out")
    }
    try buffer.withUnsafeBytes { try file.file.write($0, at: next) }
    next += bytes
    buffer.removeAll(keepingCapacity: true)
  }
}
