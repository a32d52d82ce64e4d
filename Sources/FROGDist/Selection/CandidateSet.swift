import CKernels
import RunCore
import SystemPackage

/// All candidates of one matrix. They lie on disk between scoring and writing, so that memory does not grow with the model.
///
/// Invariant: every weight whose key reaches the key of the final cut is here. A weight is left out only if its key is below a
/// ``RisingBound``, which is never above that key. So the selection looks at nothing else.
struct CandidateSet {
  /// The file of the record that holds the candidates.
  let path: FilePath
  let matrixColumns: Int
  /// A run for each panel, in order of the first row and then of the first column. A tall matrix has panels of rows, a wide one panels of
  /// columns.
  var runs: [CandidateRun] = []

  /// Calls `body` with the key of every candidate, in no particular order.
  func forEachKey(_ body: (UInt32) -> Void) throws {
    let record = try RecordReader(path)
    for run in runs {
      let cursor = CandidateCursor(run, of: record)
      while let candidate = try cursor.peek() {
        body(candidate.key)
        cursor.advance()
      }
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

  /// Calls `body` with the weights that `cut` keeps, in order of flat index.
  func forEachKept(by cut: Cut, _ body: (_ index: Int, _ score: Float) throws -> Void) throws {
    try forEachKept(by: [cut]) { _, index, score in try body(index, score) }
  }

  /// Calls `body` with the weights that each of `cuts` keeps and the position of the cut, in order of flat index.
  ///
  /// Panels of a wide matrix are runs of columns. Each of its rows is put together from all of them, so a cursor stays open in every run.
  ///
  /// - Complexity: one read of the candidates, whatever the number of cuts.
  func forEachKept(by cuts: [Cut], _ body: (_ cut: Int, _ index: Int, _ score: Float) throws -> Void) throws {
    guard let least = cuts.filter({ $0 != .nothing }).map(\.key).min() else { return }
    var ties = cuts.map(\.ties)
    func visit(_ candidate: frog_candidate, at cursor: CandidateCursor) throws {
      guard candidate.key >= least else { return }
      let index = cursor.run.flatIndex(candidate, matrixColumns: matrixColumns)
      for (position, cut) in cuts.enumerated() where candidate.key >= cut.key {
        if candidate.key == cut.key {
          guard ties[position] > 0 else { continue }
          ties[position] -= 1
        }
        try body(position, index, cursor.score)
      }
    }
    let record = try RecordReader(path)
    // Runs with the same rows are panels of columns. Every run of a tall matrix is a band of its own.
    var start = 0
    while start < runs.count {
      let rows = runs[start].rows
      let band = runs[start...].prefix { $0.rows == rows }
      start += band.count
      let cursors = band.map { CandidateCursor($0, of: record) }
      guard cursors.count > 1 else {
        while let candidate = try cursors[0].peek() {
          try visit(candidate, at: cursors[0])
          cursors[0].advance()
        }
        continue
      }
      for row in rows {
        for index in cursors.indices {
          while let candidate = try cursors[index].peek(), cursors[index].run.row(candidate) == row {
            try visit(candidate, at: cursors[index])
            cursors[index].advance()
          }
        }
      }
    }
  }
}
