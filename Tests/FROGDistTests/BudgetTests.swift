import ShardIO
import TestSupport
import Testing

@testable import Comparison
@testable import FROGDist
@testable import RunCore
@testable import Weights

@Suite("Budgets")
struct BudgetTests {
  @Test(
    "read shares exactly",
    arguments: [
      ("1%", 1, 100), ("0.01", 1, 100), ("0", 0, 1), ("0%", 0, 1), ("100%", 1, 1), ("1", 1, 1), ("1.0", 1, 1),
      ("2.5%", 1, 40), (".5", 1, 2), ("0.1%", 1, 1000), ("33.3333333333%", 333_333_333_333, 1_000_000_000_000),
    ])
  func shares(text: String, numerator: Int, denominator: Int) throws {
    guard case .share(let n, let d)? = Budget(text) else {
      Issue.record("\(text) was refused")
      return
    }
    #expect(Int128(n) * Int128(denominator) == Int128(d) * Int128(numerator))
  }

  @Test(
    "refuse what is no share from 0 to 1",
    arguments: [
      "", "%", ".", "101%", "1.0001", "-1%", "1e-2", "nan", "inf", "0x1", "1 %", "1%%", "١%", "0.0000000000001", "9999",
      "lora:", "lora:0", "lora:-1", "lora:65537", "lora:1.5", "lora:99999999999999999999", "lora:١", "LoRA:4",
    ])
  func refused(text: String) {
    #expect(Budget(text) == nil)
  }

  @Test("whole blocks cost no more than weights one by one, and what is cut off pays for the largest parts")
  func blocks() {
    // Of blocks of 4: 1.5, 0.75 and 0.5 of them; what is cut off is 7 weights.
    #expect(Shares.inBlocks([6, 3, 2], sizes: [40, 40, 40], units: [4, 4, 4]) == [4, 4, 0])
    // Equal parts: the earlier first. A part that fits not is passed over for a smaller block.
    #expect(Shares.inBlocks([2, 2, 2, 2], sizes: [8, 8, 8, 8], units: [4, 4, 4, 4]) == [4, 4, 0, 0])
    #expect(Shares.inBlocks([70, 3], sizes: [200, 9], units: [100, 9]) == [0, 9])
    // All weights are kept, also where the last block is not whole, and a budget of whole blocks stays.
    #expect(Shares.inBlocks([10, 8, 0], sizes: [10, 20, 20], units: [4, 4, 4]) == [10, 8, 0])
    // One more block may be the rest of a matrix.
    #expect(Shares.inBlocks([9, 1], sizes: [10, 40], units: [4, 4]) == [10, 0])
  }

  @Test("round half up, without a floating-point number on the way")
  func rounding() throws {
    #expect(Budget.rounded(1, 100, of: 50) == 1)
    #expect(Budget.rounded(1, 100, of: 49) == 0)
    #expect(Budget.rounded(1, 100, of: 0) == 0)
    // 0.07 · 10¹⁸ is not a whole number to a Double.
    #expect(Budget.rounded(7, 100, of: 1_000_000_000_000_000_050) == 70_000_000_000_000_004)
    let matrices = try catalog([("h.0.a", .f32, [10, 20]), ("h.0.b", .f32, [5, 10])]).matrices
    #expect(try #require(Budget("1%")).resolve(of: matrices) == 3)
    #expect(try Budget.count(250).resolve(of: matrices) == 250)
    #expect(throws: RunFailure.self) { try Budget.count(251).resolve(of: matrices) }
  }

  @Test("as LoRA of a rank divides its parameters, at most all of a matrix")
  func lora() throws {
    let matrices = try catalog([("h.0.a", .f32, [30, 50]), ("h.0.b", .f32, [4, 20]), ("h.0.c", .f32, [2, 7])]).matrices
    for (rank, parameters) in [(1, [80, 24, 9]), (2, [160, 48, 14]), (4, [320, 80, 14]), (65536, [1500, 80, 14])] {
      let budget = try #require(Budget("lora:\(rank)"))
      #expect(try budget.resolve(of: matrices) == parameters.reduce(0, +))
      #expect(budget.divideAsLoRA(0, among: matrices) == parameters)
      // The same number, asked for as a count, is divided in the same way.
      #expect(Budget.count(0).divideAsLoRA(parameters.reduce(0, +), among: matrices) == parameters)
    }
  }
}

@Suite("Shares")
struct SharesTests {
  @Test("follow the weights while there is room")
  func proportional() {
    #expect(Shares.divide(10, by: [1, 1, 3], sizes: [100, 100, 100]) == [2, 2, 6])
  }

  @Test("give the remainders to the largest fractions, the earlier first among equals")
  func remainders() {
    #expect(Shares.divide(4, by: [1, 1, 1], sizes: [9, 9, 9]) == [2, 1, 1])
    #expect(Shares.divide(5, by: [1, 1, 1], sizes: [9, 9, 9]) == [2, 2, 1])
    #expect(Shares.divide(7, by: [10, 11, 10], sizes: [99, 99, 99]) == [2, 3, 2])
  }

  @Test("hand what a full matrix cannot take to the others")
  func waterFilling() {
    #expect(Shares.divide(100, by: [8, 1, 1], sizes: [20, 100, 100]) == [20, 40, 40])
    // Filling the first makes the second overflow too.
    #expect(Shares.divide(100, by: [8, 1.5, 0.5], sizes: [20, 50, 100]) == [20, 50, 30])
  }

  @Test("fill matrices of weight zero last, by size")
  func zeroWeights() {
    #expect(Shares.divide(13, by: [1, 0, 0], sizes: [10, 10, 20]) == [10, 1, 2])
    #expect(Shares.divide(6, by: [0, 0], sizes: [10, 20]) == [2, 4])
  }

  @Test("add up to the total and never pass a size", arguments: 0..<200)
  func invariants(seed: Int) {
    var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
    func next(_ bound: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(bound))
    }
    let count = 1 + next(12)
    let sizes = (0..<count).map { _ in 1 + next(1000) }
    let weights = (0..<count).map { _ in next(4) == 0 ? 0 : Double(next(1_000_000)) / 7 }
    let all = sizes.reduce(0, +)
    for total in [0, 1, all / 100, all / 2, all - 1, all] where total >= 0 {
      let shares = Shares.divide(total, by: weights, sizes: sizes)
      #expect(shares.reduce(0, +) == total)
      #expect(zip(shares, sizes).allSatisfy { (0...$1).contains($0) })
    }
  }

  @Test("importance adds up to one, also for a model of zeros")
  func importance() {
    #expect(Shares.importance(of: [1, 3]) == [0.25, 0.75])
    #expect(Shares.importance(of: [0, 0]) == [0.5, 0.5])
  }
}
