import CKernels
import DistSVD
import MPI

/// Takes from a panel the weights that may still be selected.
struct PanelFilter {
  /// Weights looked at before the kept ones go to disk.
  static let pieceLength = 1 << 17

  let panel: ScorePanel
  /// What ranks the weights, laid out as the scores.
  let values: UnsafeMutableBufferPointer<Float>
  /// The least key that is kept.
  let bound: UInt32
  /// Whether the values are not the scores themselves.
  let needsScores: Bool

  /// Puts them at the end of the spill file.
  func spilled(to spill: CandidateSpill) throws -> CandidateRun {
    let offset = spill.byteCount
    var count = 0
    try forEachPiece {
      _ = try spill.append($0)
      count += $0.count
    }
    var run = CandidateRun(rows: panel.rows, columns: panel.columns, offset: offset, count: count)
    if needsScores {
      run.scoreOffset = spill.byteCount
      try forEachPiece { piece in
        let scores = piece.map { panel.scores[Int($0.position)] }
        _ = try scores.withUnsafeBufferPointer { try spill.append($0) }
      }
    }
    return run
  }

  /// Puts those of all members of a team at the end of its first member's spill file.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Returns: a run for each member that had a panel, in their order; none but on the first member.
  func collected(by task: MatrixTask, in spill: CandidateSpill) throws -> [CandidateRun] {
    guard let team = task.team?.communicator else { return [try spilled(to: spill)] }
    var words: [UInt64] = []
    var scores: [Float] = []
    try forEachPiece { piece in
      words += piece.map { UInt64($0.key) << 32 | UInt64($0.position) }
      if needsScores { scores += piece.map { panel.scores[Int($0.position)] } }
    }
    let place = [panel.rows.lowerBound, panel.rows.upperBound, panel.columns.lowerBound, panel.columns.upperBound]
    let places = try team.gather(place)
    let allWords = try team.gather(words)
    let allScores = needsScores ? try team.gather(scores) : []
    return try task.locally {
      try places.indices.compactMap { member in
        let place = places[member]
        let (rows, columns) = (place[0]..<place[1], place[2]..<place[3])
        guard !rows.isEmpty, !columns.isEmpty else { return nil }
        let candidates = allWords[member].map {
          frog_candidate(position: UInt32(truncatingIfNeeded: $0), key: UInt32($0 >> 32))
        }
        let offset = try candidates.withUnsafeBufferPointer { try spill.append($0) }
        var run = CandidateRun(rows: rows, columns: columns, offset: offset, count: candidates.count)
        if needsScores { run.scoreOffset = try allScores[member].withUnsafeBufferPointer { try spill.append($0) } }
        return run
      }
    }
  }

  /// Calls `body` with what is kept of one piece of the panel after the other.
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
