import ShardIO
import Testing

@testable import Execution
@testable import Weights

@Suite("What is read ahead of a matrix")
struct ReadAheadTests {
  private func ranges(
    _ rows: Int, _ columns: Int, member: Int = 0, of members: Int = 1, limit: Int = ReadAhead.limit
  ) -> [Range<Int>] {
    let matrix = Catalog.Matrix(
      name: "w", dtype: .bf16, rows: rows, columns: columns, shard: 0, offset: 1000, byteCount: 2 * rows * columns)
    return ReadAhead.ranges(of: matrix, member: member, of: members, limit: limit)
  }

  @Test("a rank alone: all of it, up to the limit")
  func alone() {
    #expect(ranges(64, 32) == [1000..<1000 + 4096])
    #expect(ranges(32, 64) == [1000..<1000 + 4096])
    #expect(ranges(64, 32, limit: 100) == [1000..<1100])
    #expect(ranges(32, 64, limit: 100) == [1000..<1100])
  }

  @Test("members of a team: their own rows of a tall matrix, which together are all of it")
  func tall() {
    let shares = (0..<3).flatMap { ranges(200, 100, member: $0, of: 3) }
    #expect(shares.first?.lowerBound == 1000 && shares.last?.upperBound == 1000 + 40_000)
    for (before, after) in zip(shares, shares.dropFirst()) { #expect(before.upperBound == after.lowerBound) }
    #expect(ranges(20, 10, member: 0, of: 3).isEmpty)
  }

  @Test("members of a team: a part of every long row of a wide matrix, whole rows where little lies between")
  func wide() {
    let (rows, columns) = (3, 1 << 17)
    let parts = ranges(rows, columns, member: 1, of: 2)
    #expect(parts == (0..<rows).map { 1000 + (2 * $0 + 1) * columns..<1000 + (2 * $0 + 2) * columns })
    #expect(ranges(rows, columns, member: 1, of: 2, limit: columns * 5 / 2).count == 2)
    #expect(ranges(100, 200, member: 1, of: 2) == [1000..<1000 + 40_000])
  }
}
