import RunCore

/// The values of one ranking that this rank has counted, and the bound that follows from them.
///
/// Invariant: ``bound`` is never above the key of the final cut of any target, so a weight below it is kept by none.
struct Tally {
  /// The counts of the matrix that is being scored.
  private(set) var matrix = ScoreHistogram()
  /// The counts of the matrices before it, if a target has one threshold for all; nil otherwise.
  private var before: [Int]?
  /// The bound of the largest K under one threshold; nil if no target has one.
  private var global: RisingBound?
  /// The bound of the largest quota of the matrix; nil if no target has one.
  private var own: RisingBound?

  /// A tally of no matrices.
  ///
  /// - Parameter largestGlobal: the largest K under one threshold; nil if no target has one.
  init(largestGlobal: Int?) {
    global = largestGlobal.map(RisingBound.init)
    if global != nil { before = ScoreHistogram().bins }
  }

  /// Whether some target has one threshold for all matrices.
  var sharesThreshold: Bool { global != nil }

  /// Adds the counts of a matrix that an earlier process has scored.
  mutating func add(_ counts: [Int]) {
    guard before != nil else { return }
    for bin in counts.indices { before?[bin] += counts[bin] }
  }

  /// Begins a matrix of which the target with the largest quota keeps `quota`; nil if no target has one.
  mutating func begin(keeping quota: Int?) {
    add(matrix.bins)
    matrix = ScoreHistogram()
    own = quota.map(RisingBound.init)
  }

  /// Counts values of the matrix, and adds their scores to the sums of their coarse bins: see ``CoarseSums``.
  mutating func count(
    _ values: UnsafeMutableBufferPointer<Float>, adding scores: UnsafeMutableBufferPointer<Float>,
    to sums: inout [Double]
  ) {
    matrix.count(values, adding: scores, to: &sums)
  }

  /// The counts of all matrices so far, by bin; empty if no target has one threshold.
  var counts: [Int] {
    guard let before else { return [] }
    return zip(before, matrix.bins).map { $0 + $1 }
  }

  /// Raises the bound of one threshold, by the counts of this rank and those of all others, which `others` gives by bin.
  mutating func raiseGlobal(_ others: (Int) -> Int) {
    guard let before else { return }
    let bins = matrix.bins
    global?.raise { before[$0] + bins[$0] + others($0) }
  }

  /// Raises the bound of the matrix by the counts of its whole team, which `team` gives by bin.
  mutating func raiseOwn(_ team: (Int) -> Int) { own?.raise(team) }

  /// Weights with this key or a higher one may still be kept.
  var bound: UInt32 { min(global?.key ?? .max, own?.key ?? .max) }
}
