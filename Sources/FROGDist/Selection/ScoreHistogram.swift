import RunCore
import CKernels

/// How many ranked values fall into each of 65,536 bins, by the upper half of their keys.
///
/// A value's **key** orders as the value does: a Float's bits, all flipped if it is negative, the sign alone if not. A bin is then a
/// range of relative width 2⁻⁷.
package struct ScoreHistogram {
  static let binCount = 1 << 16
  /// Positive infinity and NaN lie in this bin and above, everything negative below the other.
  private static let firstNonFiniteBin = 0xff80
  private static let firstPositiveBin = 0x8000

  var bins = [Int](repeating: 0, count: binCount)

  /// Nothing has been counted.
  package init() {}

  /// Counts values; -infinity is one.
  package mutating func count(_ values: UnsafeMutableBufferPointer<Float>) {
    bins.withUnsafeMutableBytes {
      frog_count(values.baseAddress, values.count, $0.assumingMemoryBound(to: Int64.self).baseAddress)
    }
  }

  /// Takes in counts by bin.
  mutating func add(_ counts: [Int]) {
    for index in bins.indices { bins[index] += counts[index] }
  }

  /// The bins that are not empty, each followed by its count.
  static func encode(_ bins: [Int]) -> [Int] {
    bins.indices.flatMap { bins[$0] == 0 ? [] : [$0, bins[$0]] }
  }

  /// All bins; nil if `pairs` are not those of ``encode(_:)``.
  static func decode(_ pairs: [Int]) -> [Int]? {
    guard pairs.count % 2 == 0 else { return nil }
    var bins = [Int](repeating: 0, count: binCount)
    for index in stride(from: 0, to: pairs.count, by: 2) {
      guard bins.indices.contains(pairs[index]), pairs[index + 1] > 0 else { return nil }
      bins[pairs[index]] = pairs[index + 1]
    }
    return bins
  }

  /// Whether a value was infinite or NaN, of either sign; for values of which none is negative.
  var holdsNonFinite: Bool {
    bins[Self.firstNonFiniteBin...].contains { $0 > 0 } || bins[..<Self.firstPositiveBin].contains { $0 > 0 }
  }
}

/// The place of the k-th largest of some counted values.
struct RankedBin: Equatable {
  /// The bin that holds it.
  let bin: Int
  /// How many values lie in the bins above.
  let above: Int

  /// Finds the highest bin that has, with those above it, at least `count` values; nil if all have fewer.
  ///
  /// `count` is 1 or more. `bins` reads the number of values in a bin.
  static func holding(_ count: Int, of binCount: Int, _ bins: (Int) -> Int) -> RankedBin? {
    var above = 0
    for bin in stride(from: binCount - 1, through: 0, by: -1) {
      let here = bins(bin)
      if above + here >= count { return RankedBin(bin: bin, above: above) }
      above += here
    }
    return nil
  }
}

/// The exact border of a selection: every key above `key` is kept, and the first `ties` of those equal to it, in order of
/// ordinal and flat index.
struct Cut: Equatable {
  var key: UInt32
  var ties: Int

  /// Keeps nothing.
  static let nothing = Cut(key: .max, ties: 0)

  /// The ranked value at the border; nil if nothing is kept.
  var threshold: Float? { self == .nothing ? nil : Float(bitPattern: frog_bits(key)) }

  /// The cut that keeps the `count` largest keys, given how many keys are in each bin.
  ///
  /// - Parameters:
  ///   - histogram: counts by the upper 16 bits, of at least `count` keys.
  ///   - lowerHalves: counts by the lower 16 bits of the keys in the bin it is given.
  static func keeping(
    _ count: Int, histogram: [Int], lowerHalves: (_ bin: Int) throws -> [Int]
  ) throws -> Cut {
    guard count > 0 else { return .nothing }
    guard let upper = RankedBin.holding(count, of: histogram.count, { histogram[$0] }) else {
      throw RunFailure(.internal, "\(count) weights were to be kept, fewer were counted")
    }
    let halves = try lowerHalves(upper.bin)
    guard let lower = RankedBin.holding(count - upper.above, of: halves.count, { halves[$0] }) else {
      throw RunFailure(.internal, "candidates are missing from the bin of the threshold")
    }
    return Cut(
      key: UInt32(upper.bin) << 16 | UInt32(lower.bin), ties: count - upper.above - lower.above)
  }
}

/// The key below which no weight can be among the `keep` largest, as far as is known by now.
///
/// Counts only grow, so the bound only rises, and a stale one is still valid.
struct RisingBound {
  let keep: Int
  private(set) var key: UInt32 = 0

  init(keep: Int) {
    self.keep = keep
    if keep == 0 { key = .max }
  }

  /// Raises the bound to the highest bin above whose lower edge `keep` scores have been counted.
  mutating func raise(_ bins: (Int) -> Int) {
    guard keep > 0, let found = RankedBin.holding(keep, of: ScoreHistogram.binCount, bins) else { return }
    key = max(key, UInt32(found.bin) << 16)
  }
}
