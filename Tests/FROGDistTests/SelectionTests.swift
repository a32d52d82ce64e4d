import CKernels
import SystemPackage
import Testing

@testable import FROGDist

/// Scores with many equal ones, from a few magnitudes to many.
private func scores(_ count: Int, seed: UInt64) -> [Float] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return seed.isMultiple(of: 2) ? Float(state % 50) / 8 : Float(state % 1_000_003) * 1e-4
  }
}

private func histogram(_ scores: [Float]) -> ScoreHistogram {
  var result = ScoreHistogram()
  var copy = scores
  copy.withUnsafeMutableBufferPointer { result.count($0) }
  return result
}

private func lowerHalves(_ scores: [Float], _ bin: Int) -> [Int] {
  var counts = [Int](repeating: 0, count: 1 << 16)
  for score in scores where Int(score.bitPattern >> 16) == bin { counts[Int(score.bitPattern & 0xffff)] += 1 }
  return counts
}

@Suite("Cut")
struct CutTests {
  @Test("keeps as many as asked, the largest", arguments: 0..<8)
  func exact(seed: Int) throws {
    let scores = scores(5000, seed: UInt64(seed))
    let sorted = scores.sorted(by: >)
    for keep in [0, 1, 2, 50, 2500, 4999, 5000] {
      let cut = try Cut.keeping(keep, histogram: histogram(scores).bins) { lowerHalves(scores, $0) }
      let above = scores.filter { $0.bitPattern > cut.key }.count
      #expect(above + cut.ties == keep)
      if keep > 0 {
        #expect(cut.threshold == sorted[keep - 1])
        #expect((1...scores.filter { $0 == sorted[keep - 1] }.count).contains(cut.ties))
      } else {
        #expect(cut == .nothing && cut.threshold == nil)
      }
    }
  }

  @Test("refuses to keep more than was counted")
  func tooMany() {
    #expect(throws: RunFailure.self) {
      try Cut.keeping(6, histogram: histogram([1, 2, 3, 4, 5]).bins) { lowerHalves([1, 2, 3, 4, 5], $0) }
    }
  }
}

@Suite("Rising bound")
struct RisingBoundTests {
  @Test("never rises above the true threshold and only rises", arguments: 0..<6)
  func valid(seed: Int) throws {
    let scores = scores(20_000, seed: UInt64(seed))
    let keep = 300
    let threshold = scores.sorted(by: >)[keep - 1]
    var seen = ScoreHistogram()
    var bound = RisingBound(keep: keep)
    var last: UInt32 = 0
    for start in stride(from: 0, to: scores.count, by: 1000) {
      var part = Array(scores[start..<start + 1000])
      part.withUnsafeMutableBufferPointer { seen.count($0) }
      bound.raise { seen.bins[$0] }
      #expect(bound.key >= last && bound.key <= threshold.bitPattern)
      last = bound.key
    }
    // At the end it is the lower edge of the threshold's bin.
    #expect(bound.key == threshold.bitPattern & 0xffff_0000)
  }

  @Test("keeps nothing when nothing is asked for")
  func nothing() {
    #expect(RisingBound(keep: 0).key == .max)
  }

  @Test("infinity and NaN are noticed")
  func nonFinite() {
    #expect(!histogram([0, 1, .greatestFiniteMagnitude]).holdsNonFinite)
    #expect(histogram([0, .infinity]).holdsNonFinite)
    #expect(histogram([.nan]).holdsNonFinite)
  }
}

@Suite("Candidates")
struct CandidateTests {
  /// Spills the scores of a matrix by panels, as the scorer does.
  private func spilled(_ scores: [Float], rows: Int, columns: Int, panels: [(Range<Int>, Range<Int>)]) throws
    -> CandidateSet
  {
    let spill = try CandidateSpill(in: "/tmp")
    // Something before it, so that offsets matter.
    _ = try [UInt8](repeating: 1, count: 13).withUnsafeBufferPointer { try spill.append($0) }
    var set = CandidateSet(spill: spill, matrixColumns: columns)
    for (rowRange, columnRange) in panels {
      let panel = rowRange.flatMap { row in columnRange.map { scores[row * columns + $0] } }
      let kept = [frog_candidate](unsafeUninitializedCapacity: panel.count) { buffer, count in
        count = frog_keep(panel, panel.count, 0, Float(1).bitPattern, buffer.baseAddress)
      }
      let offset = try kept.withUnsafeBufferPointer { try spill.append($0) }
      set.runs.append(CandidateRun(rows: rowRange, columns: columnRange, offset: offset, count: kept.count))
    }
    return set
  }

  static let layouts: [(String, [(Range<Int>, Range<Int>)])] = [
    ("rows", [(0..<10, 0..<30), (10..<33, 0..<30), (33..<40, 0..<30)]),
    ("columns", [(0..<40, 0..<7), (0..<40, 7..<8), (0..<40, 8..<30)]),
    ("whole", [(0..<40, 0..<30)]),
  ]

  @Test("come back in order of index, with the first ties", arguments: layouts)
  func order(name: String, panels: [(Range<Int>, Range<Int>)]) throws {
    let scores = scores(1200, seed: 4)
    let set = try spilled(scores, rows: 40, columns: 30, panels: panels)
    for keep in [0, 1, 17, 300, 700] {
      let cut = try Cut.keeping(keep, histogram: histogram(scores).bins) { bin in
        var lower = [Int](repeating: 0, count: 1 << 16)
        try set.countLowerHalves(of: bin, into: &lower)
        return lower
      }
      var found: [Int] = []
      try set.forEachKept(by: cut) { index, score in
        #expect(scores[index] == score)
        found.append(index)
      }
      let wanted = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(keep).sorted()
      #expect(found == wanted)
      let counts = try set.count(around: Float(5).bitPattern)
      #expect(counts.above == scores.filter { $0 > 5 }.count && counts.equal == scores.filter { $0 == 5 }.count)
    }
  }

  @Test("longer runs than one piece")
  func pieces() throws {
    let count = 3 * CandidateCursor.pieceLength + 5
    let scores = (0..<count).map { Float($0 % 97 + 1) }
    let set = try spilled(scores, rows: 1, columns: count, panels: [(0..<1, 0..<count)])
    var found: [Int] = []
    try set.forEachKept(by: Cut(key: Float(97).bitPattern, ties: 10_000)) { index, _ in found.append(index) }
    #expect(found == scores.indices.filter { scores[$0] == 97 })
  }

  @Test("ties go to the lower ordinals")
  func ties() {
    #expect(GlobalSelection.shareTies(5, among: [2, 0, 2, 7]) == [2, 0, 2, 1])
    #expect(GlobalSelection.shareTies(0, among: [2, 3]) == [0, 0])
  }
}
