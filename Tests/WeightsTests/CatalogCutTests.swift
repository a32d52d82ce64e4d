import RunCore
import ShardIO
import TestSupport
import Testing

@testable import Weights

@Suite("Cutting the tensors of a catalog")
struct CatalogCutTests {
  private static let tensors: [(name: String, dtype: DType, shape: [Int])] = [
    ("h.experts.joined", .bf16, [2, 10, 4]), ("h.qkv.weight", .f32, [9, 5]), ("h.out.weight", .f32, [5, 5]),
  ]

  @Test("gives consecutive rows, of every expert of a stack alike")
  func rows() throws {
    let whole = try catalog(Self.tensors)
    let cut = try whole.cutting([
      0: [.init(label: "gate", rows: 5), .init(label: "up", rows: 5)],
      2: [.init(label: "q", rows: 5), .init(label: "k", rows: 2), .init(label: "v", rows: 2)],
    ])
    #expect(
      cut.names == [
        "h.experts.joined[0][gate]", "h.experts.joined[0][up]", "h.experts.joined[1][gate]", "h.experts.joined[1][up]",
        "h.out.weight", "h.qkv.weight[k]", "h.qkv.weight[q]", "h.qkv.weight[v]",
      ])
    #expect(cut.weightCount == whole.weightCount)
    // Positions in the stored tensor: expert 1 has the rows 10 to 19 of all, and up the last five of them.
    #expect(cut.matrices[3].slice.storedPosition(of: 0) == 15 * 4)
    #expect(cut.matrices[3].slice.storedPosition(of: 19) == 80 - 1)
    #expect(cut.matrices[5].slice.storedPosition(of: 0) == 5 * 5 && cut.matrices[5].rows == 2)
    #expect(cut.matrices.allSatisfy { cut.shards[$0.shard].fileName == whole.shards[0].fileName })
  }

  @Test(
    "leaves out what is not all of a whole tensor",
    arguments: [[5, 4, 1], [5, 5], [8, 1], [9], [4, 4], [.max, 2], [3, 3, 3, 2], []] as [[Int]])
  func unfit(rows: [Int]) throws {
    let whole = try catalog(Self.tensors)
    let parts = rows.enumerated().map { Catalog.RowPart(label: "\($0)", rows: $1) }
    #expect(try whole.cutting([2: parts]).names == whole.names)
    let halves = [Catalog.RowPart(label: "a", rows: 5), .init(label: "b", rows: 5)]
    let once = try whole.cutting([0: halves])
    #expect(try once.cutting([0: halves]).names == once.names)
  }

  @Test("refuses two matrices of one name")
  func clash() throws {
    let whole = try catalog([("a", .f32, [4, 4]), ("a[x]", .f32, [4, 4])])
    #expect(throws: RunFailure.self) {
      try whole.cutting([0: [.init(label: "x", rows: 2), .init(label: "y", rows: 2)]])
    }
  }
}
