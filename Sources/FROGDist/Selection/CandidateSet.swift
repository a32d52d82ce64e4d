import RunCore
import CKernels
import SystemPackage

/// All candidates of one matrix, on disk between scoring and writing, so that memory does not grow with the model.
struct CandidateSet {
  /// The record that holds them.
  let path: FilePath
  let matrixColumns: Int
  /// Each in order of position; together in order of row if tall, of column if wide.
  var runs: [CandidateRun] = []

  /// Calls `body` with every key, in no particular order.
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

  /// Adds the keys of `bin`, by their lower 16 bits, to `counts`.
  func countLowerHalves(of bin: Int, into counts: inout [Int]) throws {
    try forEachKey { key in
      if Int(key >> 16) == bin { counts[Int(key & 0xffff)] += 1 }
    }
  }

  /// How many keys are above `key`, and how many equal to it.
  func count(around key: UInt32) throws -> (above: Int, equal: Int) {
    var above = 0
    var equal = 0
    try forEachKey {
      if $0 > key { above += 1 } else if $0 == key { equal += 1 }
    }
    return (above, equal)
  }

  /// Calls `body` with what `cut` keeps, in order of flat index.
  ///
  /// Panels of a wide matrix are runs of columns: each row is put together from all of them, so a cursor stays open in each.
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
    // Runs with the same rows are columns panels; the runs of a tall matrix have one band each.
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
