import CKernels
import ShardIO
import SystemPackage

/// The weights of one panel that may be selected, on disk, in order of position.
struct CandidateRun {
  /// The part of the matrix that the panel covered.
  let rows: Range<Int>
  let columns: Range<Int>
  /// First byte in the spill file.
  let offset: Int
  let count: Int
  /// First byte of their scores, in the same order; nil where the key is the score's.
  var scoreOffset: Int?

  /// Where `candidate` lies in its matrix, flat and row-major.
  func flatIndex(_ candidate: frog_candidate, matrixColumns: Int) -> Int {
    let (row, column) = Int(candidate.position).quotientAndRemainder(dividingBy: columns.count)
    return (rows.lowerBound + row) * matrixColumns + columns.lowerBound + column
  }

  func row(_ candidate: frog_candidate) -> Int { rows.lowerBound + Int(candidate.position) / columns.count }
}

/// This rank's candidates and noise factors, kept on disk between scoring and writing, so that memory does not grow with the model.
///
/// The file has no name from the start: whatever ends the process, nothing is left behind.
final class CandidateSpill {
  private let file: AnonymousFile
  private var end = 0

  /// - Parameter directory: where there is room for 8 bytes per candidate: the work folder, which rank 0 has made.
  init(in directory: FilePath) throws {
    file = try AnonymousFile(in: directory)
  }

  /// Writes at the end; returns the offset.
  func append<T: BitwiseCopyable>(_ elements: UnsafeBufferPointer<T>) throws -> Int {
    let offset = end
    try file.write(UnsafeRawBufferPointer(elements), at: offset)
    end += elements.count * MemoryLayout<T>.stride
    return offset
  }

  /// Reads `count` elements from `offset`.
  func read<T: BitwiseCopyable>(_ type: T.Type, count: Int, at offset: Int) throws -> [T] {
    try [T](unsafeUninitializedCapacity: count) { buffer, filled in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      try file.read(
        into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<(count * MemoryLayout<T>.stride)]), at: offset)
      filled = count
    }
  }

  /// Bytes written so far.
  var byteCount: Int { end }
}

/// Reads a run from the spill file a piece at a time.
struct CandidateCursor {
  static let pieceLength = 1 << 14

  let run: CandidateRun
  private var piece: [frog_candidate] = []
  private var scores: [Float] = []
  private var position = 0
  private var taken = 0

  init(_ run: CandidateRun) { self.run = run }

  /// The next candidate, without taking it; nil at the end.
  mutating func peek(_ spill: CandidateSpill) throws -> frog_candidate? {
    if position == piece.count {
      guard taken < run.count else { return nil }
      let count = min(Self.pieceLength, run.count - taken)
      piece = try spill.read(
        frog_candidate.self, count: count, at: run.offset + taken * MemoryLayout<frog_candidate>.stride)
      if let offset = run.scoreOffset {
        scores = try spill.read(Float.self, count: count, at: offset + taken * MemoryLayout<Float>.stride)
      }
      taken += count
      position = 0
    }
    return piece[position]
  }

  /// The score of the candidate that ``peek(_:)`` has shown.
  var score: Float { scores.isEmpty ? Float(bitPattern: frog_bits(piece[position].key)) : scores[position] }

  mutating func advance() { position += 1 }
}
