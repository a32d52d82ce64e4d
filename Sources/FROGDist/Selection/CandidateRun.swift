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

  /// Takes the next candidates as long as their position in the panel is below `limit`, and calls `body` with each and its score.
  ///
  /// - Parameter atEndOfPiece: called before the next piece is read.
  @inline(__always)
  func take(
    below limit: Int, _ body: (frog_candidate, Float) throws -> Void, atEndOfPiece: () throws -> Void = {}
  ) throws {
    while true {
      if position == piece.count {
        guard taken < run.count else { return }
        try atEndOfPiece()
        try readPiece()
      }
      let keyIsScore = scores.isEmpty
      while position < piece.count {
        let candidate = piece[position]
        guard Int(candidate.position) < limit else { return }
        try body(candidate, keyIsScore ? Float(bitPattern: frog_bits(candidate.key)) : scores[position])
        position += 1
      }
    }
  }

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
