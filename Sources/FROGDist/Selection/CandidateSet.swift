import CKernels
import RunCore
import SystemPackage
import Weights

/// All candidates of one matrix. They lie on disk between scoring and writing, so that memory does not grow with the model.
///
/// Invariant: every weight whose key reaches the key of the final cut is here. A weight is left out only if its key is below a
/// ``RisingBound``, which is never above that key. So the selection looks at nothing else.
struct CandidateSet {
  /// The file of the record that holds the candidates.
  let path: FilePath
  let matrixColumns: Int
  /// The blocks that are kept whole; nil if weights are kept one by one.
  var blocks: BlockGrid?
  /// A run for each panel, in order of the first row and then of the first column. A tall matrix has panels of rows, a wide one panels of
  /// columns.
  var runs: [CandidateRun] = []

  /// Calls `body` with the key of every candidate, in no particular order.
  @inline(__always)
  func forEachKey(_ body: (UInt32) -> Void) throws {
    let record = try RecordReader(path)
    for run in runs {
      try CandidateCursor(run, of: record).take(below: .max) { candidate, _ in body(candidate.key) }
    }
  }

  /// Counts the keys of the bins that `lower` counts.
  func count(into lower: inout LowerHalves) throws { try forEachKey { lower.count($0) } }

  /// The number of keys above each of `keys`, and of those equal to it.
  func counts(around keys: [UInt32]) throws -> [(above: Int, equal: Int)] {
    var found = keys.map { _ in (above: 0, equal: 0) }
    let least = keys.min() ?? .max
    try forEachKey { key in
      guard key >= least else { return }
      for index in keys.indices {
        if key > keys[index] { found[index].above += 1 } else if key == keys[index] { found[index].equal += 1 }
      }
    }
    return found
  }

  /// Weights that a cut keeps, in order of flat index.
  struct Kept {
    fileprivate(set) var indices: [Int] = []
    fileprivate(set) var scores: [Float] = []
  }

  /// Calls `body` with the weights that `cut` keeps, in order of flat index.
  func forEachKept(by cut: Cut, _ body: (_ index: Int, _ score: Float) throws -> Void) throws {
    try forEachPiece(by: [cut]) { _, kept in
      for (index, score) in zip(kept.indices, kept.scores) { try body(index, score) }
    }
  }

  /// Calls `body` with the weights that each of `cuts` keeps and the position of the cut, some thousand at a time. Those of one cut come in
  /// order of flat index.
  ///
  /// - Complexity: one read of the candidates, whatever the number of cuts.
  func forEachPiece(by cuts: [Cut], _ body: (_ cut: Int, _ kept: Kept) throws -> Void) throws {
    guard let least = cuts.filter({ $0 != .nothing }).map(\.key).min() else { return }
    var ties = cuts.map(\.ties)
    var pieces = cuts.map { _ in Kept() }
    func flush(from count: Int) throws {
      for position in cuts.indices where pieces[position].indices.count >= count {
        try body(position, pieces[position])
        pieces[position].indices.removeAll(keepingCapacity: true)
        pieces[position].scores.removeAll(keepingCapacity: true)
      }
    }
    try forEachInOrder { candidate, index, score in
      guard candidate.key >= least else { return }
      for position in 0..<cuts.count {
        let cut = cuts[position]
        guard candidate.key >= cut.key else { continue }
        if candidate.key == cut.key {
          guard ties[position] > 0, blocks.map({ $0.block(of: index) < cut.firstFrozen ?? .max }) ?? true else {
            continue
          }
          ties[position] -= 1
        }
        pieces[position].indices.append(index)
        pieces[position].scores.append(score)
      }
    } atEndOfPiece: {
      try flush(from: CandidateCursor.pieceLength)
    }
    try flush(from: 1)
  }

  /// Calls `body` with every candidate, its flat index and its score, in order of flat index.
  ///
  /// Panels of a wide matrix are runs of columns. Each of its rows is put together from all of them, so a cursor stays open in every run.
  ///
  /// - Parameter atEndOfPiece: called whenever some thousand candidates have been taken.
  @inline(__always)
  func forEachInOrder(
    _ body: (_ candidate: frog_candidate, _ index: Int, _ score: Float) throws -> Void,
    atEndOfPiece: () throws -> Void = {}
  ) throws {
    /// Takes the candidates of a run that lie below a position, whose flat index is that of the position plus `offset`.
    @inline(__always) func take(_ cursor: CandidateCursor, below limit: Int, offset: Int) throws {
      try cursor.take(
        below: limit, { candidate, score in try body(candidate, Int(candidate.position) + offset, score) },
        atEndOfPiece: atEndOfPiece)
    }
    let record = try RecordReader(path)
    // Runs with the same rows are panels of columns. Every run of a tall matrix is a band of its own.
    var start = 0
    while start < runs.count {
      let rows = runs[start].rows
      let band = runs[start...].prefix { $0.rows == rows }
      start += band.count
      let cursors = band.map { CandidateCursor($0, of: record) }
      if cursors.count == 1, cursors[0].run.columns.count == matrixColumns {
        try take(cursors[0], below: .max, offset: rows.lowerBound * matrixColumns)
        continue
      }
      for row in rows {
        for cursor in cursors {
          let (columns, line) = (cursor.run.columns, row - rows.lowerBound)
          try take(
            cursor, below: (line + 1) * columns.count,
            offset: row * matrixColumns + columns.lowerBound - line * columns.count)
        }
      }
    }
  }
}
