/// The search for the tail of the smallest D over all candidates, without computing all n² deviations.
///
/// Two observations make it fast:
///
/// - In the deviation 1 − (x_j/x_i)^(1−α) − (j−i)/n, the first two terms together grow with j, and so does (j−i)/n. So
///   the deviation between two positions lies within bounds made of the terms at these positions. Where the bounds are
///   below the largest deviation found, nothing between the positions can change the maximum.
/// - A candidate is given up as soon as one of its deviations is above the best D. The position where the candidate
///   before deviated most is tried first, which settles most candidates with one power.
///
/// Invariant: the result is bit for bit that of computing all deviations. Each is computed by the same operations, a
/// maximum does not depend on order, and of equal distances the first candidate wins.
struct TailSearch {
  /// A tail.
  struct Candidate: Equatable {
    /// The position of its first value, xmin.
    let start: Int
    let alpha: Double
    let distance: Double
  }

  /// The number of values below which WeightWatcher's rules for small spectra hold.
  static let smallCount = 20
  /// The fewest values of a tail by these rules.
  static let smallTail = 8
  /// The mean logarithm above xmin up to which the values of a tail differ by rounding alone.
  static let equalSpread = 1e-12
  /// The most that rounding adds to a bound: `pow` and three operations on values up to 1 are off by less than 10⁻¹⁵.
  private static let slack = 1e-14

  /// The values, ascending and above 0.
  private let values: [Double]
  /// S_i = Σ_{j ≥ i} ln(x_j/x_i).
  private let logSums: [Double]
  /// The positions that are tried as xmin.
  private let starts: Range<Int>
  /// The position where the latest candidate deviated most.
  private var worst = 0
  /// The intervals of the candidate under way that have not been ruled out.
  private var intervals: [Interval] = []
  /// The number of deviations computed so far, which take most of the time. Without pruning there are n²/2.
  private(set) var deviations = 0

  /// Two positions whose deviations have been computed, and the first two terms of each.
  private struct Interval {
    let low: Int
    let lowTheory: Double
    let high: Int
    let highTheory: Double
  }

  init(_ values: [Double], candidates: ClosedRange<Double>?) {
    self.values = values
    // 1. The sums of logarithms. S_i = S_{i+1} + (n_i − 1)·ln(x_{i+1}/x_i) has only terms ≥ 0; Σ ln x_j − n·ln x_i
    // would cancel.
    var sums = [Double](repeating: 0, count: values.count)
    var sum = CompensatedSum()
    for index in stride(from: values.count - 2, through: 0, by: -1) {
      let excess = (values[index + 1] - values[index]) / values[index]
      let gap =
        excess.isFinite ? naturalLog(onePlus: excess) : naturalLog(values[index + 1]) - naturalLog(values[index])
      sum.add(Double(values.count - index - 1) * gap)
      sums[index] = sum.value
    }
    logSums = sums
    // 2. The candidates: all values but the largest, fewer in small spectra, and only those in the range asked for.
    var starts = 0..<(values.count - 1)
    if values.count < Self.smallTail {
      starts = 0..<1
    } else if values.count < Self.smallCount {
      starts = 0..<(values.count - Self.smallTail + 1)
    }
    if let candidates {
      let low = values.lowerBound(candidates.lowerBound)
      let high = values.lowerBound(candidates.upperBound.nextUp)
      starts = starts.clamped(to: low..<max(low, high))
    }
    self.starts = starts
  }

  /// The exponent α of the tail that begins at `start`; nil if its values are equal but for rounding.
  func exponent(_ start: Int) -> Double? {
    let count = Double(values.count - start)
    guard logSums[start] > Self.equalSpread * count else { return nil }
    return 1 + (values.count < Self.smallCount ? count - 1 : count) / logSums[start]
  }

  /// The first two terms of the deviation at a position, which are the law's distribution function; `decay` is 1 − α.
  private mutating func theory(_ position: Int, from start: Int, decay: Double) -> Double {
    deviations += 1
    return 1 - power(values[position] / values[start], decay)
  }

  /// The candidate of the smallest D, the first of equal ones; nil if no tail has a spread.
  mutating func best() -> Candidate? {
    var best: Candidate?
    // A few candidates from everywhere come first. The sooner a good D is known, the more of the rest is given up at
    // once.
    let step = max(1, starts.count / 64)
    for start in stride(from: starts.lowerBound, to: starts.upperBound, by: step) { consider(start, &best) }
    for start in starts where step > 1 { consider(start, &best) }
    return best
  }

  /// Replaces the best candidate by that which begins at `start`, if that has a smaller D, or the same D and an earlier
  /// start.
  private mutating func consider(_ start: Int, _ best: inout Candidate?) {
    guard let alpha = exponent(start) else { return }
    guard let found = best else {
      if let distance = distance(start, alpha: alpha, limit: .infinity) {
        best = Candidate(start: start, alpha: alpha, distance: distance)
      }
      return
    }
    guard let distance = distance(start, alpha: alpha, limit: found.distance) else { return }
    if distance < found.distance || (distance == found.distance && start < found.start) {
      best = Candidate(start: start, alpha: alpha, distance: distance)
    }
  }

  /// D of the tail that begins at `start`; nil as soon as it is known to be above `limit`.
  private mutating func distance(_ start: Int, alpha: Double, limit: Double) -> Double? {
    let decay = 1 - alpha
    // There is no power law where the logarithms are so wide apart that n/S vanishes beside 1.
    guard decay < 0 else { return 1 <= limit ? 1 : nil }
    let count = Double(values.count - start)
    let last = values.count - 1
    // 1. The position where the candidate before deviated most.
    var largest = 0.0
    if worst > start, worst <= last {
      largest = abs(theory(worst, from: start, decay: decay) - Double(worst - start) / count)
      if largest > limit { return nil }
    }
    // 2. The last position; the first has no deviation.
    intervals.removeAll(keepingCapacity: true)
    let lastTheory = theory(last, from: start, decay: decay)
    let atLast = abs(lastTheory - Double(last - start) / count)
    if atLast > largest {
      largest = atLast
      worst = last
      if largest > limit { return nil }
    }
    // 3. Halve intervals until none can hold a larger deviation.
    intervals.append(Interval(low: start, lowTheory: 0, high: last, highTheory: lastTheory))
    while let interval = intervals.popLast() {
      guard interval.high - interval.low > 1 else { continue }
      let above = interval.highTheory - Double(interval.low + 1 - start) / count
      let below = Double(interval.high - 1 - start) / count - interval.lowTheory
      if max(above, below) + Self.slack <= largest { continue }
      let middle = interval.low + (interval.high - interval.low) / 2
      let middleTheory = theory(middle, from: start, decay: decay)
      let deviation = abs(middleTheory - Double(middle - start) / count)
      if deviation > largest {
        largest = deviation
        worst = middle
        if largest > limit { return nil }
      }
      intervals.append(
        Interval(low: interval.low, lowTheory: interval.lowTheory, high: middle, highTheory: middleTheory))
      intervals.append(
        Interval(low: middle, lowTheory: middleTheory, high: interval.high, highTheory: interval.highTheory))
    }
    return largest
  }
}
