import CKernels
import DistSVD
import Testing

@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("Random numbers")
struct RandomTests {
  private func bits(seed: UInt64, stream: UInt64, first: UInt64, count: Int) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: count)
    frog_random_bits(seed, stream, first, count, &result)
    return result
  }

  @Test("are Philox4x32-10")
  func knownAnswers() {
    // The vectors that Random123 publishes, counter and key all zeros and all ones.
    #expect(bits(seed: 0, stream: 0, first: 0, count: 2) == [0xe169_c58d_6627_e8d5, 0x9b00_dbd8_bc57_ac4c])
    // An index is half a counter, so that the counter's upper half can be all ones, the lower only up to its 63 bits.
    let block = bits(seed: .max, stream: .max, first: .max - 1, count: 2)
    #expect(block == bits(seed: .max, stream: .max, first: .max, count: 1).reduce(into: [block[0]]) { $0.append($1) })
  }

  @Test("do not depend on where a call starts", arguments: [0, 1, 2, 7, 1 << 33])
  func position(first: UInt64) {
    let whole = bits(seed: 5, stream: 9, first: first, count: 40)
    for start in 0..<8 {
      for count in [0, 1, 2, 3, 31] {
        #expect(
          bits(seed: 5, stream: 9, first: first + UInt64(start), count: count) == Array(whole[start..<start + count]))
      }
    }
    #expect(Set(whole).count == 40)
    #expect(bits(seed: 6, stream: 9, first: first, count: 40) != whole)
    #expect(bits(seed: 5, stream: 8, first: first, count: 40) != whole)
  }

  @Test("uniform numbers lie in (0, 1), evenly; signs are balanced")
  func uniform() {
    let count = 1 << 16
    var values = [Float](repeating: 0, count: count)
    frog_random_uniform(1, 2, 3, count, &values)
    #expect(values.allSatisfy { $0 > 0 && $0 < 1 })
    var bins = [Int](repeating: 0, count: 64)
    for value in values { bins[Int(value * 64)] += 1 }
    let chiSquare = bins.reduce(0.0) { $0 + (Double($1) - 1024) * (Double($1) - 1024) / 1024 }
    // 63 degrees of freedom; beyond 119 with a probability of 2e-5.
    #expect(chiSquare < 119)
    frog_random_signs(1, 2, 3, count, &values)
    #expect(values.allSatisfy { abs($0) == 1 } && abs(values.reduce(0, +)) < 5 * 256)
  }

  @Test("logarithm and exponential agree with the C library's")
  func logarithm() {
    var x = 1e-300
    while x < 1e300 {
      #expect(abs(frog_log(x) - log(x)) <= 4e-16 * abs(log(x)))
      x *= 1.37
    }
    for step in 0..<2000 {
      let near = 1 + Double(step - 1000) * 1e-9
      #expect(abs(frog_log(near) - log(near)) <= 4e-16 * abs(log(near)))
      let exponent = Double(step - 1000) * 0.31
      #expect(abs(frog_exp(exponent) - exp(exponent)) <= 1e-15 * exp(exponent))
    }
  }

  @Test("keys are p·ln(score) + Gumbel noise; zeros come last, or not at p = 0")
  func gumbel() {
    let scores: [Float] = [0.5, 2, 0, 1e-38, 3e38, .infinity, .nan]
    var keys = [Float](repeating: 0, count: scores.count)
    frog_gumbel_keys(11, 12, 13, 2, 0, scores, scores.count, &keys)
    let noise = bits(seed: 11, stream: 12, first: 13, count: scores.count).map {
      -log(-log((Double($0 >> 12) + 0.5) * 0x1p-52))
    }
    for index in [0, 1, 3, 4] {
      let wanted = 2 * log(Double(scores[index])) + noise[index]
      #expect(abs(Double(keys[index]) - wanted) <= 1e-6 * abs(wanted))
    }
    #expect(keys[2] == -.infinity && keys[5].isNaN && keys[6].isNaN)
    frog_gumbel_keys(11, 12, 13, 0, 0, scores, scores.count, &keys)
    for index in 0..<5 { #expect(abs(Double(keys[index]) - noise[index]) <= 1e-6 * abs(noise[index])) }
  }
}

@Suite("Concentration")
struct ConcentrationTests {
  @Test("of masks whose figures are known")
  func known() throws {
    // Everything in one row: 1 of 200 rows, all of 50 columns.
    var counts = KeptCounts(rows: 200, columns: 50)
    counts.add((0..<50).map { 7 * 50 + $0 }, scores: [Float](repeating: 2, count: 50))
    var found = try #require(counts.concentration)
    #expect(found.topRows == 1 && found.topColumns == 0.02 && found.unusedRows == 199 && found.unusedColumns == 0)
    #expect(abs(found.effectiveRows - 1.0 / 200) < 1e-12 && abs(found.effectiveColumns - 1) < 1e-12)
    // Two rows, three to one: entropy ln 4 - 0.75 ln 3.
    counts = KeptCounts(rows: 3, columns: 4)
    counts.add([0, 1, 2, 4], scores: [1, 2, 3, 4])
    #expect(counts.scoreSum == 10)
    found = try #require(counts.concentration)
    #expect(abs(found.effectiveRows - 4 / pow(3, 0.75) / 3) < 1e-12)
    #expect(found.topRows == 0.75 && found.unusedRows == 1 && found.unusedColumns == 1)
    #expect(KeptCounts(rows: 3, columns: 4).concentration == nil)
  }
}

@Suite("Selection keys")
struct SelectionKeysTests {
  @Test("of blocks are means, of scores or of quotients, in the place of every weight", arguments: [true, false])
  func blocks(isTall: Bool) throws {
    let (rows, columns) = isTall ? (7, 4) : (4, 7)
    let shape = PanelShape(rows: rows, columns: columns)
    let scores = (0..<28).map { Float($0 * $0 % 11) }
    let factors = NoiseFactors(
      row: (0..<rows).map { Float($0) }, column: (0..<columns).map { Float(2 + $0) }, mean: 2, sum: 8,
      relativeError: 0, rankOneShare: 1)
    // Two panels of whole blocks of three, the second of them ragged.
    for range in [0..<3, 3..<7] {
      let (own, across) = (shape.rows(range), shape.columns(range))
      var part = own.flatMap { row in across.map { scores[row * columns + $0] } }
      let grid = BlockGrid(rows: rows, columns: columns, side: 3)
      for divisor: SelectionKeys.Divisor in [.none, .mean(2), .mean(0), .factors(factors)] {
        func ranked(_ row: Int, _ column: Int) -> Double {
          let score = scores[row * columns + column]
          return switch divisor {
          case .none: Double(score)
          case .mean(let mean): mean > 0 ? Double(score) / Double(mean) : 0
          case .factors(let factors):
            factors.row[row] > 0 ? Double(score / (factors.row[row] * factors.column[column])) : 0
          }
        }
        let keys = try SelectionKeys(
          divisor, multiplier: 1.25, sample: nil, columns: columns, shift: 3, block: 3, longest: 28)
        let found = part.withUnsafeMutableBufferPointer {
          Array(keys.values(of: ScorePanel($0, range: range, of: shape)))
        }
        for (line, row) in own.enumerated() {
          for (position, column) in across.enumerated() {
            let block = grid.block(of: row * columns + column)
            let members = (0..<28).filter { grid.block(of: $0) == block }
            let mean = members.reduce(0) { $0 + ranked($1 / columns, $1 % columns) } / Double(members.count)
            let value = Double(found[line * across.count + position])
            #expect(abs(value - 10 * mean) <= 1e-6 * mean * 10, "(\(row), \(column))")
          }
        }
        #expect(!keys.areScores)
      }
    }
  }

  @Test("divide by the mean, or by row and column factors; 0 by 0 is 0", arguments: [true, false])
  func divisors(isTall: Bool) throws {
    let (rows, columns) = isTall ? (4, 2) : (2, 4)
    let shape = PanelShape(rows: rows, columns: columns)
    var scores: [Float] = [1, 2, 3, 4, 0, 6]
    let range = 1..<4
    try scores.withUnsafeMutableBufferPointer { buffer in
      let panel = ScorePanel(buffer, range: range, of: shape)
      let mean = try SelectionKeys(.mean(4), sample: nil, columns: columns, longest: 6)
      #expect(Array(mean.values(of: panel)) == [0.25, 0.5, 0.75, 1, 0, 1.5])
      let factors = NoiseFactors(
        row: (0..<rows).map { Float($0) }, column: (0..<columns).map { Float(2 + $0) }, mean: 1, sum: 8,
        relativeError: 0, rankOneShare: 1)
      let keys = try SelectionKeys(.factors(factors), sample: nil, columns: columns, longest: 6)
      let wanted: [Float] =
        isTall
        ? [1 / 2, 2 / 3, 3 / 4, 4 / 6, 0, 6 / 9] : [0, 0, 0, 4 / 3, 0, 6 / 5]
      #expect(Array(keys.values(of: panel)) == wanted)
      // Random numbers belong to the position in the matrix, not in the panel.
      let numbers = RandomNumbers(seed: 3, tensor: "w", for: .sampling)
      let sampled = try SelectionKeys(.none, sample: (1, numbers), columns: columns, longest: 6)
      let found = Array(sampled.values(of: panel))
      panel.forEachRow { row, part in
        for (offset, score) in part.enumerated() {
          let column = panel.columns.lowerBound + offset
          var key: Float = 0
          frog_gumbel_keys(numbers.seed, numbers.stream, UInt64(row * columns + column), 1, 0, [score], 1, &key)
          #expect(found[(row - panel.rows.lowerBound) * panel.columns.count + offset] == key)
        }
      }
      #expect(Array(panel.scores) == [1, 2, 3, 4, 0, 6])
    }
  }
}
