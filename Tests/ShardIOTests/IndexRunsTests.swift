import Foundation
import Testing

@testable import ShardIO

@Suite("Runs of positions")
struct IndexRunsTests {
  private static let shapes: [(first: Int, length: Int, stride: Int, count: Int)] = [
    (0, 1, 1, 1), (3, 4, 0, 1), (0, 1, 2, 7), (1, 1, 2, 7), (2, 3, 9, 4), (5, 2, 2, 3), (0, 64, 192, 2), (7, 5, 6, 3),
  ]

  @Test("positions, pieces and their inverse, against lists", arguments: shapes)
  func lists(shape: (first: Int, length: Int, stride: Int, count: Int)) throws {
    let runs = try #require(
      IndexRuns(first: shape.first, length: shape.length, stride: shape.stride, count: shape.count))
    let list = (0..<shape.count).flatMap { run in (0..<shape.length).map { shape.first + run * shape.stride + $0 } }
    #expect(runs.total == list.count)
    #expect(runs.end == list.max().map { $0 + 1 })
    #expect(list.indices.map(runs.stored) == list)
    #expect((0...runs.end + 2).allSatisfy { end in runs.positions(before: end) == list.count { $0 < end } })
    for lower in 0...list.count {
      for upper in lower...list.count {
        let pieces = Array(runs.pieces(of: lower..<upper))
        let wanted = Array(list[lower..<upper])
        #expect(pieces.flatMap { Array($0) } == wanted)
        // As few as can be: no piece begins where another ends.
        #expect(zip(pieces, pieces.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        let gaps = zip(wanted, wanted.dropFirst()).count { $0 + 1 != $1 }
        #expect(runs.isConsecutive(lower..<upper) == (gaps == 0))
      }
    }
  }

  @Test("all, and none")
  func all() {
    #expect(IndexRuns(all: 5).total == 5)
    #expect(IndexRuns(all: 5).stored(3) == 3)
    #expect(Array(IndexRuns(all: 5).pieces(of: 1..<4)) == [1..<4])
    for count in [0, -1, .min] {
      let none = IndexRuns(all: count)
      #expect(none.total == 0 && none.end == 0 && none.isOneRun)
      #expect(Array(none.pieces(of: 0..<0)).isEmpty)
    }
  }

  @Test(
    "runs that make no sense",
    arguments: [
      [-1, 1, 1, 1], [0, 0, 1, 1], [0, -1, 1, 1], [0, 1, -1, 1], [0, 2, 2, 0], [0, 1, 1, -1], [0, 2, 1, 2],
      [0, 1, 0, 2], [.max, 1, 1, 1], [0, 1, .max, 2], [0, 1, .max / 2, 4], [1, .max, 1, 1], [0, .max, .max, 2],
      [0, 1, 1, .min], [.min, .min, .min, .min],
    ])
  func refused(numbers: [Int]) {
    #expect(IndexRuns(first: numbers[0], length: numbers[1], stride: numbers[2], count: numbers[3]) == nil)
    let json = """
      {"first":\(numbers[0]),"length":\(numbers[1]),"stride":\(numbers[2]),"count":\(numbers[3])}
      """
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(IndexRuns.self, from: Data(json.utf8)) }
  }

  @Test("the largest there are")
  func largest() throws {
    let runs = try #require(IndexRuns(first: 0, length: 1, stride: .max - 1, count: 2))
    #expect(runs.end == .max)
    #expect(Array(runs.pieces(of: 0..<2)) == [0..<1, .max - 1..<Int.max])
  }

  @Test("written and read again, a slice too")
  func coded() throws {
    let rows = try #require(IndexRuns(first: 64, length: 64, stride: 192, count: 8))
    for runs in [rows, IndexRuns(all: 7), IndexRuns(all: 0)] {
      #expect(try JSONDecoder().decode(IndexRuns.self, from: JSONEncoder().encode(runs)) == runs)
    }
    let slice = TensorSlice(storedRows: 1_536, storedColumns: 512, slab: 3, rows: rows, columns: IndexRuns(all: 512))
    #expect(try JSONDecoder().decode(TensorSlice.self, from: JSONEncoder().encode(slice)) == slice)
  }

  @Test("what lies in one piece")
  func contiguous() throws {
    let some = try #require(IndexRuns(first: 1, length: 2, stride: 3, count: 2))
    let touching = try #require(IndexRuns(first: 1, length: 2, stride: 2, count: 2))
    let inner = try #require(IndexRuns(first: 1, length: 4, stride: 4, count: 1))
    func slice(_ rows: IndexRuns, _ columns: IndexRuns) -> TensorSlice {
      TensorSlice(storedRows: 9, storedColumns: 5, rows: rows, columns: columns)
    }
    #expect(TensorSlice(whole: 9, columns: 5).isContiguous)
    #expect(slice(inner, IndexRuns(all: 5)).isContiguous)
    #expect(slice(touching, IndexRuns(all: 5)).isContiguous)
    #expect(!slice(some, IndexRuns(all: 5)).isContiguous)
    #expect(!slice(inner, inner).isContiguous)
  }
}
