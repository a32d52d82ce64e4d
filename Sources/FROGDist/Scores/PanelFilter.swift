import CKernels
import DistSVD
import Execution
import MPI
import RunCore

/// Takes from a panel the weights that may still be selected: the candidates.
struct PanelFilter {
  /// The number of weights that are looked at before their candidates go to disk.
  static let pieceLength = 1 << 17

  let panel: ScorePanel
  /// The values that rank the weights, laid out as the scores.
  let values: UnsafeMutableBufferPointer<Float>
  /// The bound: weights with this key or a higher one are candidates.
  let bound: UInt32
  /// Whether the values are not the scores themselves, so that scores are recorded too.
  let needsScores: Bool

  /// Adds the candidates to the end of a record.
  func written(to record: RecordWriter) throws -> CandidateRun {
    record.begin()
    try forEachPiece { try record.append($0) }
    let candidates = record.end()
    guard needsScores else { return run(candidates) }
    record.begin()
    try forEachPiece { piece in
      let scores = piece.map { panel.scores[Int($0.position)] }
      try scores.withUnsafeBufferPointer { try record.append($0) }
    }
    return run(candidates, scores: record.end())
  }

  private func run(_ candidates: RecordSection, scores: RecordSection? = nil) -> CandidateRun {
    CandidateRun(rows: panel.rows, columns: panel.columns, candidates: candidates, scores: scores)
  }

  /// Adds the candidates of all members of a team to the end of its record, a piece at a time.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter record: the record, on the first member; nil on other members.
  /// - Returns: a run for each member that had a panel, in the order of members; none on other members than the first.
  func collected(by task: MatrixTask, in record: RecordWriter?) throws -> [CandidateRun] {
    guard let team = task.team?.communicator else { return try record.map { [try written(to: $0)] } ?? [] }
    let own = [panel.rows.lowerBound, panel.rows.upperBound, panel.columns.lowerBound, panel.columns.upperBound]
    var runs: [CandidateRun] = []
    // A disk that fails is reported at the end, since members stay in step until then.
    var failure: (any Error)?
    for (member, place) in try team.allGather(own).enumerated() {
      let (rows, columns) = (place[0]..<place[1], place[2]..<place[3])
      guard !rows.isEmpty, !columns.isEmpty else { continue }
      let starts = stride(from: 0, to: rows.count * columns.count, by: Self.pieceLength)
      record?.begin()
      for start in starts {
        let words = member == team.rank ? kept(from: start).map { UInt64($0.key) << 32 | UInt64($0.position) } : []
        let candidates = try team.gather(words).flatMap { $0 }.map {
          frog_candidate(position: UInt32(truncatingIfNeeded: $0), key: UInt32($0 >> 32))
        }
        append(candidates, to: record, &failure)
      }
      let candidates = record?.end()
      if needsScores {
        record?.begin()
        for start in starts {
          let scores = member == team.rank ? kept(from: start).map { panel.scores[Int($0.position)] } : []
          append(try team.gather(scores).flatMap { $0 }, to: record, &failure)
        }
      }
      if let candidates {
        runs.append(
          CandidateRun(rows: rows, columns: columns, candidates: candidates, scores: needsScores ? record?.end() : nil))
      }
    }
    try task.locally { if let failure { throw failure } }
    return runs
  }

  private func append<Element: BitwiseCopyable>(
    _ elements: [Element], to record: RecordWriter?, _ failure: inout (any Error)?
  ) {
    guard let record, failure == nil, !elements.isEmpty else { return }
    do { try elements.withUnsafeBufferPointer { try record.append($0) } } catch { failure = error }
  }

  /// The candidates of the piece that begins at `start`.
  private func kept(from start: Int) -> [frog_candidate] {
    let piece = UnsafeMutableBufferPointer(rebasing: values[start..<min(start + Self.pieceLength, values.count)])
    return [frog_candidate](unsafeUninitializedCapacity: piece.count) { buffer, count in
      count = frog_keep(piece.baseAddress, piece.count, UInt32(start), bound, buffer.baseAddress)
    }
  }

  /// Calls `body` with the candidates of one piece of the panel after the other.
  private func forEachPiece(_ body: (UnsafeBufferPointer<frog_candidate>) throws -> Void) throws {
    try withUnsafeTemporaryAllocation(of: frog_candidate.self, capacity: Self.pieceLength) { kept in
      for start in stride(from: 0, to: values.count, by: Self.pieceLength) {
        let piece = UnsafeMutableBufferPointer(
          rebasing: values[start..<min(start + Self.pieceLength, values.count)])
        let count = frog_keep(piece.baseAddress, piece.count, UInt32(start), bound, kept.baseAddress)
        try body(UnsafeBufferPointer(rebasing: kept[..<count]))
      }
    }
  }
}
