import CKernels
import DistSVD
import SystemPackage
import TestSupport
import Testing

@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

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

private func key(_ score: Float) -> UInt32 { frog_key(score.bitPattern) }

private func histogram(_ scores: [Float]) -> ScoreHistogram {
  var result = ScoreHistogram()
  var copy = scores
  copy.withUnsafeMutableBufferPointer { result.count($0) }
  return result
}

private func lowerHalves(_ scores: [Float], _ bins: [Int]) -> LowerHalves {
  var counts = LowerHalves(of: bins)
  for score in scores { counts.count(key(score)) }
  return counts
}

@Suite("Cut")
struct CutTests {
  @Test("keeps as many as asked, the largest", arguments: 0..<8)
  func exact(seed: Int) throws {
    let scores = scores(5000, seed: UInt64(seed))
    let sorted = scores.sorted(by: >)
    let keeps = [2500, 0, 1, 2, 50, 4999, 50, 5000]
    let cuts = try Cut.keeping(keeps, histogram: histogram(scores).bins) { lowerHalves(scores, $0) }
    for (keep, cut) in zip(keeps, cuts) {
      let above = scores.filter { key($0) > cut.key }.count
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
      try Cut.keeping([2, 6], histogram: histogram([1, 2, 3, 4, 5]).bins) { lowerHalves([1, 2, 3, 4, 5], $0) }
    }
  }
}

@Suite("Keys")
struct KeyTests {
  @Test("order as the values do, and come back")
  func order() {
    let values: [Float] = [
      -.infinity, -3e38, -1, -.leastNormalMagnitude, 0, .leastNonzeroMagnitude, 1e-30, 1, 1.0000001, 3e38, .infinity,
    ]
    #expect(values.map(key) == values.map(key).sorted())
    for value in values { #expect(Float(bitPattern: frog_bits(key(value))) == value) }
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
      #expect(bound.key >= last && bound.key <= key(threshold))
      last = bound.key
    }
    // At the end it is the lower edge of the threshold's bin.
    #expect(bound.key == key(threshold) & 0xffff_0000)
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
    // What x86 makes of infinity times 0.
    #expect(histogram([-.nan]).holdsNonFinite)
  }
}

@Suite("Candidates")
struct CandidateTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Records a matrix by panels, as the scorer does: what ranks at least `bound`, with its score unless that is what ranks.
  private func recorded(
    _ scores: [Float], ranks: [Float]? = nil, bound: Float = 1, rows: Int, columns: Int,
    panels: [(Range<Int>, Range<Int>)]
  ) throws -> CandidateSet {
    let path = folder.path.appending("candidates")
    let record = try RecordWriter(path, .test)
    // Something before it, so that offsets matter.
    _ = try record.section([UInt8](repeating: 1, count: 13))
    var set = CandidateSet(path: path, matrixColumns: columns)
    let shape = PanelShape(rows: rows, columns: columns)
    for (rowRange, columnRange) in panels {
      func cut(_ values: [Float]) -> [Float] {
        rowRange.flatMap { row in columnRange.map { values[row * columns + $0] } }
      }
      var panelScores = cut(scores)
      var panelRanks = cut(ranks ?? scores)
      try panelScores.withUnsafeMutableBufferPointer { scores in
        try panelRanks.withUnsafeMutableBufferPointer { values in
          let panel = ScorePanel(scores, range: shape.isTall ? rowRange : columnRange, of: shape)
          #expect(panel.rows == rowRange && panel.columns == columnRange)
          let filter = PanelFilter(panel: panel, values: values, bound: key(bound), needsScores: ranks != nil)
          set.runs.append(try filter.written(to: record))
        }
      }
    }
    _ = try record.finish(rows: rows, columns: columns, runs: set.runs)
    return set
  }

  static let layouts: [(String, Int, Int, [(Range<Int>, Range<Int>)])] = [
    ("rows", 40, 30, [(0..<10, 0..<30), (10..<33, 0..<30), (33..<40, 0..<30)]),
    ("columns", 30, 40, [(0..<30, 0..<7), (0..<30, 7..<8), (0..<30, 8..<40)]),
    ("whole", 40, 30, [(0..<40, 0..<30)]),
  ]

  @Test("ranked by something else keep their scores", arguments: layouts)
  func ranked(name: String, rows: Int, columns: Int, panels: [(Range<Int>, Range<Int>)]) throws {
    let scores = scores(1200, seed: 4)
    // The smallest scores first; most ranks are negative.
    let ranks = scores.map { 2 - $0 }
    let set = try recorded(scores, ranks: ranks, bound: -4, rows: rows, columns: columns, panels: panels)
    let cut = try Cut.keeping([300], histogram: histogram(ranks).bins) { bins in
      var lower = LowerHalves(of: bins)
      try set.count(into: &lower)
      return lower
    }[0]
    var found: [Int] = []
    try set.forEachKept(by: cut) { index, score in
      #expect(scores[index] == score)
      found.append(index)
    }
    #expect(found == scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(300).sorted())
    #expect(cut.threshold == ranks.sorted(by: >)[299])
  }

  @Test("come back in order of index, with the first ties", arguments: layouts)
  func order(name: String, rows: Int, columns: Int, panels: [(Range<Int>, Range<Int>)]) throws {
    let scores = scores(1200, seed: 4)
    let set = try recorded(scores, rows: rows, columns: columns, panels: panels)
    // One target after the other, and all at once.
    let keeps = [300, 0, 1, 17, 700]
    let cuts = try Cut.keeping(keeps, histogram: histogram(scores).bins) { bins in
      var lower = LowerHalves(of: bins)
      try set.count(into: &lower)
      return lower
    }
    var together = keeps.map { _ in [Int]() }
    try set.forEachPiece(by: cuts) { position, kept in
      #expect(kept.indices.map { scores[$0] } == kept.scores)
      together[position] += kept.indices
    }
    for (position, keep) in keeps.enumerated() {
      var found: [Int] = []
      try set.forEachKept(by: cuts[position]) { index, _ in found.append(index) }
      let wanted = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(keep).sorted()
      #expect(found == wanted && together[position] == wanted)
    }
    let values: [Float] = [5, 3, 5.5]
    for (value, counts) in zip(values, try set.counts(around: values.map(key))) {
      #expect(counts.above == scores.filter { $0 > value }.count && counts.equal == scores.filter { $0 == value }.count)
    }
  }

  @Test("longer runs than one piece")
  func pieces() throws {
    let count = 3 * CandidateCursor.pieceLength + 5
    let scores = (0..<count).map { Float($0 % 97 + 1) }
    let set = try recorded(scores, rows: 1, columns: count, panels: [(0..<1, 0..<count)])
    var found: [Int] = []
    try set.forEachKept(by: Cut(key: key(97), ties: 10_000)) { index, _ in found.append(index) }
    #expect(found == scores.indices.filter { scores[$0] == 97 })
  }

  /// The weights of the best blocks that fit in `room`, by the definition.
  private static func best(_ means: [Float], of grid: BlockGrid, fitting room: Int) -> [Int] {
    var (room, kept) = (room, Set<Int>())
    for block in means.indices.sorted(by: { (means[$1], $0) < (means[$0], $1) }) {
      guard grid.size(of: block) <= room else { break }
      room -= grid.size(of: block)
      kept.insert(block)
    }
    return (0..<grid.rows * grid.columns).filter { kept.contains(grid.block(of: $0)) }
  }

  @Test("whole blocks: the best that fit, the first of equal ones", arguments: layouts)
  func blocks(name: String, rows: Int, columns: Int, panels: [(Range<Int>, Range<Int>)]) throws {
    let grid = BlockGrid(rows: rows, columns: columns, side: 7)
    let means = (0..<grid.count).map { Float([4, 2, 4, 1.5, 3][$0 % 5]) }
    let scores = scores(1200, seed: 4)
    let ranks = scores.indices.map { means[grid.block(of: $0)] }
    var set = try recorded(scores, ranks: ranks, bound: 1, rows: rows, columns: columns, panels: panels)
    set.blocks = grid
    for keep in [0, 1, 13, 14, 48, 49, 50, 97, 98, 300, 611, 1199, 1200] {
      let cut = try Cut.keeping([keep], histogram: histogram(ranks).bins) { bins in
        var lower = LowerHalves(of: bins)
        try set.count(into: &lower)
        return lower
      }[0]
      let (whole, kept) = try set.wholeBlocks(cut, keeping: keep)
      var found: [Int] = []
      try set.forEachKept(by: whole) { index, score in
        #expect(scores[index] == score)
        found.append(index)
      }
      #expect(found == Self.best(means, of: grid, fitting: keep) && found.count == kept, "\(keep)")
      #expect(whole.threshold == found.map { ranks[$0] }.min(), "\(keep)")
    }
  }

  @Test("ties go to the lower ordinals")
  func ties() {
    #expect(GlobalSelection.shareTies(5, among: [2, 0, 2, 7]) == [2, 0, 2, 1])
    #expect(GlobalSelection.shareTies(0, among: [2, 3]) == [0, 0])
  }
}
