import CKernels
import RunCore
import ShardIO

/// The candidates of one panel, in a record, in order of position in the panel.
struct CandidateRun: Codable {
  /// The rows and columns of the matrix that the panel covers.
  let rows: Range<Int>
  let columns: Range<Int>
  /// The candidates: position in the panel, row-major, and key of each.
  let candidates: RecordSection
  /// The scores of the candidates: Floats in the same order; nil where a key is the key of the score itself.
  let scores: RecordSection?

  /// The number of candidates.
  var count: Int { candidates.count(of: frog_candidate.self) }

  /// The position of `candidate` in its matrix, flat and row-major.
  func flatIndex(_ candidate: frog_candidate, matrixColumns: Int) -> Int {
    let (row, column) = Int(candidate.position).quotientAndRemainder(dividingBy: columns.count)
    return (rows.lowerBound + row) * matrixColumns + columns.lowerBound + column
  }

  func row(_ candidate: frog_candidate) -> Int { rows.lowerBound + Int(candidate.position) / columns.count }
}

/// Reads the candidates of a run from its record, a piece at a time. A run that has been read to its end is what was written.
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

  /// Shows the next candidate, without taking it; nil at the end.
  ///
  /// - Throws: ``RunFailure`` if the record is damaged, at the end of the run at the latest.
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
