import TestSupport
import Testing

@testable import Weights

/// The weights of every block, by flat index, straight from the definition.
private func blocks(rows: Int, columns: Int, side: Int) -> [[Int]] {
  stride(from: 0, to: rows, by: side).flatMap { top in
    stride(from: 0, to: columns, by: side).map { left in
      (top..<min(rows, top + side)).flatMap { row in
        (left..<min(columns, left + side)).map { row * columns + $0 }
      }
    }
  }
}

@Suite("Blocks of a matrix")
struct BlockGridTests {
  static let shapes = [
    ("whole blocks", 12, 8, 4), ("ragged on both sides", 5, 7, 3), ("blocks of one weight", 3, 4, 1),
    ("one block", 5, 7, 9), ("one row of blocks", 2, 40, 16), ("one column", 33, 1, 8), ("nothing", 0, 7, 3),
  ]

  @Test("every weight lies in one block", arguments: shapes)
  func division(regime: String, rows: Int, columns: Int, side: Int) {
    let grid = BlockGrid(rows: rows, columns: columns, side: side)
    let wanted = blocks(rows: rows, columns: columns, side: side)
    #expect(grid.count == (rows == 0 ? 0 : wanted.count))
    guard rows > 0 else { return }
    #expect((0..<grid.count).map(grid.size) == wanted.map(\.count))
    #expect(grid.largest == wanted.map(\.count).max() && grid.smallest == wanted.map(\.count).min())
    for (block, indices) in wanted.enumerated() {
      for index in indices {
        #expect(grid.block(of: index) == block)
        #expect(grid.block(beginningAt: index) == (index == indices[0] ? block : nil))
      }
    }
  }

  @Test("sums are those of the blocks, and bits do not depend on the cut into panels", arguments: shapes)
  func sums(regime: String, rows: Int, columns: Int, side: Int) {
    let grid = BlockGrid(rows: rows, columns: columns, side: side)
    let values = noise(rows * columns, seed: 5).map { Float(abs($0)) }
    let found = values.withUnsafeBufferPointer { grid.sums(of: $0) }
    for (sum, indices) in zip(found, blocks(rows: rows, columns: columns, side: side)) {
      let exact = indices.reduce(0.0) { $0 + Double(values[$1]) }
      #expect(abs(sum - exact) <= Double(indices.count) * 0x1p-53 * exact)
    }
    // A column of blocks alone.
    guard rows > 0 else { return }
    let part = grid.columns(ofBlockColumn: grid.blockColumns - 1)
    let cut = BlockGrid(rows: rows, columns: part.count, side: side)
    let own = (0..<rows).flatMap { row in part.map { values[row * columns + $0] } }
    let last = stride(from: grid.blockColumns - 1, to: grid.count, by: grid.blockColumns).map { found[$0] }
    #expect(own.withUnsafeBufferPointer { cut.sums(of: $0) } == last)
  }

  @Test("every weight gets the value of its block", arguments: shapes)
  func spread(regime: String, rows: Int, columns: Int, side: Int) {
    let grid = BlockGrid(rows: rows, columns: columns, side: side)
    var values = [Float](repeating: -1, count: rows * columns)
    values.withUnsafeMutableBufferPointer { grid.spread((0..<grid.count).map { Float($0) }, into: $0) }
    #expect(values == values.indices.map { Float(grid.block(of: $0)) })
  }
}
