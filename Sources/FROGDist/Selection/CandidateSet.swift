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

  /// Counts the keys of `bin` by their lower 16 bits, and adds the numbers to `counts`.
  func countLowerHalves(of bin: Int, into counts: inout [Int]) throws {
    try forEachKey { key in
      if Int(key >> 16) == bin { counts[Int(key & 0xffff)] += 1 }
    }
  }

  /// The number of keys above `key`, and of those equal to it.
  func count(around key: UInt32) throws -> (above: Int, equal: Int) {
    var above = 0
    var equal = 0
    try forEachKey {
      if $0 > key { above += 1 } else if $0 == key { equal += 1 }
    }
    return (above, equal)
  }

  /// Calls `body` with the weights that `cut` keeps, in order of flat index.
  ///
  /// Panels of a wide matrix are runs of columns. Each of its rows is put together from all of them, so a cursor stays open in every run.
  func forEachKept(by cut: Cut, _ body: (_ index: Int, _ score: Float) throws -> Void) throws {
    guard cut != .nothing else { return }
    var ties = cut.ties
    func visit(_ candidate: frog_candidate, at cursor: CandidateCursor) throws {
      guard candidate.key >= cut.key else { return }
      if candidate.key == cut.key {
        guard ties > 0 else { return }
        ties -= 1
      }
      try body(cursor.run.flatIndex(candidate, matrixColumns: matrixColumns), cursor.score)
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
