import RunCore
import CKernels
import ShardIO

/// The weights of one panel that may be selected, in a record, in order of position.
struct CandidateRun: Codable {
  /// The part of the matrix that the panel covered.
  let rows: Range<Int>
  let columns: Range<Int>
  /// Positions and keys.
  let candidates: RecordSection
  /// Their scores, Floats in the same order; nil where the key is the score's.
  let scores: RecordSection?

  /// How many there are.
  var count: Int { candidates.count(of: frog_candidate.self) }

  /// Where `candidate` lies in its matrix, flat and row-major.
  func flatIndex(_ candidate: frog_candidate, matrixColumns: Int) -> Int {
    let (row, column) = Int(candidate.position).quotientAndRemainder(dividingBy: columns.count)
    return (rows.lowerBound + row) * matrixColumns + columns.lowerBound + column
  }

  func row(_ candidate: frog_candidate) -> Int { rows.lowerBound + Int(candidate.position) / columns.count }
}

/// Reads a run from its record a piece at a time; what has been read to the end is what was written.
final class CandidateCursor {
  static let pieceLength = 1 << 14

  let run: CandidateRun
  private let record: RecordReader
  private let hasher = BlockHasher()
  private let scoreHasher = BlockHasher()
  private var piece: [frog_candidate] = []
  private var scores: [Float] = []
  private var position = 0
  private var taken = 0

  init(_ run: CandidateRun, of record: RecordReader) {
    self.run = run
    self.record = record
    hasher.begin()
    scoreHasher.begin()
  }

  /// The next candidate, without taking it; nil at the end.
  ///
  /// - Throws: ``RunFailure``, at the end at the latest, if the record is damaged.
  func peek() throws -> frog_candidate? {
    if position == piece.count {
      guard taken < run.count else { return nil }
      try readPiece()
    }
    return piece[position]
  }

  /// The score of the candidate that ``peek()`` has shown.
  var score: Float { scores.isEmpty ? Float(bitPattern: frog_bits(piece[position].key)) : scores[position] }

  func advance() { position += 1 }

  private func readPiece() throws {
    let range = taken..<min(run.count, taken + Self.pieceLength)
    piece = try record.piece(run.candidates, of: frog_candidate.self, range, hasher: hasher)
    if let section = run.scores {
      scores = try record.piece(section, of: Float.self, range, hasher: scoreHasher)
    }
    taken = range.upperBound
    position = 0
    guard taken == run.count else { return }
    guard hasher.end().hexadecimal == run.candidates.hash,
      run.scores.map({ scoreHasher.end().hexadecimal == $0.hash }) ?? true
    else { throw record.damage }
  }
}
