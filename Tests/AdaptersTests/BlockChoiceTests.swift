import TestSupport
import Testing

@testable import Adapters
@testable import RunCore
@testable import Weights

@Suite("Means of blocks")
struct BlockMeansTests {
  @Test(
    "both rules, by the definition",
    arguments: [
      ("whole blocks", 64, 96, 32), ("ragged", 50, 71, 16), ("one block", 9, 12, 100), ("single elements", 5, 6, 1),
      ("a row of blocks in several panels", 600, 9000, 512), ("rows beyond a panel", 2, 1_300_000, 2),
    ], BlockRule.allCases)
  func means(_ shape: (regime: String, rows: Int, columns: Int, side: Int), rule: BlockRule) throws {
    let source = TestMatrix(noise: shape.rows, shape.columns, seed: 7)
    let found = try BlockMeans(of: source, "g", side: shape.side, by: rule)
    #expect(found.grid == BlockGrid(rows: shape.rows, columns: shape.columns, side: shape.side))
    var (sums, magnitudes) = (found.values.map { _ in 0.0 }, found.values.map { _ in 0.0 })
    for index in source.elements.indices {
      let block = found.grid.block(of: index)
      let element = Double(Float(source.elements[index]))
      sums[block] += element
      magnitudes[block] += abs(element)
    }
    for block in sums.indices {
      let size = Double(found.grid.size(of: block))
      let exact = (rule == .meanOfMagnitudes ? magnitudes[block] : abs(sums[block])) / size
      #expect(abs(found.values[block] - exact) <= size * 0x1p-52 * magnitudes[block] / size, "block \(block)")
    }
  }

  @Test("a number that is not finite is named by its place")
  func nonFinite() throws {
    let source = TestMatrix(rows: 40, columns: 30) { $0 == 33 && $1 == 21 ? .infinity : -1 }
    #expect {
      try BlockMeans(of: source, "'h.0.weight'", side: 16, by: .magnitudeOfMean)
    } throws: {
      ($0 as? RunFailure)?.kind == .data
        && ($0 as? RunFailure)?.message.hasPrefix("'h.0.weight': inf at row 33, column 21") == true
    }
  }
}

@Suite("The blocks of SMT")
struct BlockChoiceTests {
  /// Matrices with many equal numbers.
  static func matrices(_ shapes: [(Int, Int)], side: Int) -> [BlockMeans] {
    shapes.enumerated().map { number, shape in
      let grid = BlockGrid(rows: shape.0, columns: shape.1, side: side)
      return BlockMeans(grid, noise(grid.count, seed: UInt64(number)).map { (abs($0) * 6).rounded() / 2 })
    }
  }

  static let shapes = [(64, 40), (7, 7), (40, 64), (16, 16), (33, 9)]

  /// The matrix and block of every block, best first: a stable sort of all blocks in their order.
  static func ranked(_ matrices: [BlockMeans]) -> [(matrix: Int, block: Int)] {
    let all = matrices.enumerated().flatMap { number, matrix in matrix.values.indices.map { (number, $0) } }
    var found: [(matrix: Int, block: Int)] = []
    for value in Set(matrices.flatMap(\.values)).sorted(by: >) {
      found += all.filter { matrices[$0.0].values[$0.1] == value }
    }
    return found
  }

  @Test("globally: the best of all, equal ones by matrix and block", arguments: [0, 1, 5, 17, 40, 1000])
  func global(count: Int) {
    let matrices = Self.matrices(Self.shapes, side: 8)
    let wanted = Self.ranked(matrices).prefix(count)
    let found = BlockChoice(count, of: matrices, by: .global)
    #expect(found.blocks == matrices.indices.map { n in wanted.filter { $0.matrix == n }.map(\.block).sorted() })
  }

  @Test("by matrix: the best of each, as many as its size tells", arguments: [0, 1, 5, 17, 40, 80, 100, 1000])
  func byMatrix(count: Int) {
    let matrices = Self.matrices(Self.shapes, side: 8)
    let found = BlockChoice(count, of: matrices, by: .matrix).blocks
    let total = matrices.reduce(0) { $0 + $1.grid.count }
    let weights = matrices.reduce(0) { $0 + $1.grid.rows * $1.grid.columns }
    #expect(found.reduce(0) { $0 + $1.count } == min(count, total))
    for (number, matrix) in matrices.enumerated() {
      let best = Self.ranked([matrix]).prefix(found[number].count).map(\.block)
      #expect(found[number] == best.sorted())
      // Within one block of its share, unless a matrix had fewer blocks than its share.
      if count <= 80 {
        let share = Double(count) * Double(matrix.grid.rows * matrix.grid.columns) / Double(weights)
        #expect(abs(Double(found[number].count) - share) < 1, "matrix \(number)")
      }
    }
  }

  @Test("shares are made whole by largest remainder, among equal ones to the earlier")
  func remainders() {
    let same = Self.matrices([(16, 16), (16, 16), (16, 16)], side: 4)
    #expect(BlockChoice(7, of: same, by: .matrix).blocks.map(\.count) == [3, 2, 2])
    // 3.2, 1.6 and 0.2 of five blocks.
    let mixed = Self.matrices([(64, 64), (64, 32), (16, 16)], side: 4)
    #expect(BlockChoice(5, of: mixed, by: .matrix).blocks.map(\.count) == [3, 2, 0])
  }

  @Test("the number of blocks is that of SMT's code")
  func count() {
    // Llama-2-7B: q, k and v of 32 layers, 0.84% of 96 matrices of 4096 × 4096.
    #expect(BlockChoice.count(ratio: 0.0084, weights: 96 * 4096 * 4096, side: 256) == 206)
    #expect(BlockChoice.count(ratio: 1, weights: 65536, side: 256) == 1)
    #expect(BlockChoice.count(ratio: 1, weights: 65535, side: 256) == 0)
    #expect(BlockChoice.count(ratio: 0.5, weights: 900, side: 10) == 4)
  }
}
