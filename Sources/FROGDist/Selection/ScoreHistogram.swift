import CKernels
import MPI
import RunCore

/// The number of ranked values in each of 65,536 bins.
///
/// The **key** of a value orders as the value does. It is the bits of the Float: all of them flipped if the value is negative, the sign bit
/// alone if not. The **bin** of a value is the upper half of its key, which is a range of relative width 2⁻⁷.
package struct ScoreHistogram {
  static let binCount = 1 << 16
  /// The first bin of positive infinity and NaN. The bins of negative values are those below ``firstPositiveBin``.
  private static let firstNonFiniteBin = 0xff80
  private static let firstPositiveBin = 0x8000

  var bins = [Int](repeating: 0, count: binCount)

  /// A histogram in which nothing has been counted.
  package init() {}

  /// Counts values; −infinity counts as a value.
  package mutating func count(_ values: UnsafeMutableBufferPointer<Float>) {
    bins.withUnsafeMutableBytes {
      frog_count(values.baseAddress, values.count, $0.assumingMemoryBound(to: Int64.self).baseAddress)
    }
  }

  /// Counts values, and adds the score of each to the sum of its coarse bin (``CoarseSums``).
  ///
  /// - Parameters:
  ///   - scores: the scores, laid out as the values that rank them.
  ///   - sums: the sums by coarse bin, ``CoarseSums/binCount`` of them.
  mutating func count(
    _ values: UnsafeMutableBufferPointer<Float>, adding scores: UnsafeMutableBufferPointer<Float>,
    to sums: inout [Double]
  ) {
    bins.withUnsafeMutableBytes { bins in
      sums.withUnsafeMutableBufferPointer {
        frog_count_and_add(
          values.baseAddress, scores.baseAddress, values.count, bins.assumingMemoryBound(to: Int64.self).baseAddress,
          $0.baseAddress)
      }
    }
  }

  /// The bins that are not empty, in ascending order, each followed by its count.
  static func encode(_ bins: [Int]) -> [Int] {
    bins.indices.flatMap { bins[$0] == 0 ? [] : [$0, bins[$0]] }
  }

  /// The counts of all bins; nil if `pairs` is not a result of ``encode(_:)``.
  static func decode(_ pairs: [Int]) -> [Int]? {
    guard pairs.count % 2 == 0 else { return nil }
    var bins = [Int](repeating: 0, count: binCount)
    for index in stride(from: 0, to: pairs.count, by: 2) {
      guard bins.indices.contains(pairs[index]), pairs[index + 1] > 0 else { return nil }
      bins[pairs[index]] = pairs[index + 1]
    }
    return bins
  }

  /// Whether a value was infinite or NaN, of either sign. It is valid only if no finite value was negative.
  var holdsNonFinite: Bool {
    bins[Self.firstNonFiniteBin...].contains { $0 > 0 } || bins[..<Self.firstPositiveBin].contains { $0 > 0 }
  }
}

/// The place of the k-th largest of values that have been counted in bins.
struct RankedBin: Equatable {
  /// The bin that holds the k-th largest value.
  let bin: Int
  /// The number of values in the bins above.
  let above: Int

  /// Finds the highest bin that has, with those above it, at least `count` values; nil if all bins together have fewer.
  ///
  /// - Parameters:
  ///   - count: k; 1 or more.
  ///   - binCount: the number of bins.
  ///   - bins: gives the number of values in a bin.
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

/// The exact border of a selection.
///
/// Every key above `key` is kept, and so are the first `ties` of the keys equal to it, in order of ordinal and flat index.
///
/// Invariant: the number of keys above `key`, plus `ties`, is the number of weights to keep. Of the keys 9, 7, 7, 7, 3 the cut that keeps
/// two is `Cut(key: 7, ties: 1)`.
///
/// Where blocks are kept whole, all weights of a block have the same key. Of the blocks whose key equals `key` those before `firstFrozen` are
/// kept, and `ties` is the number of their weights, or more.
struct Cut: Equatable {
  var key: UInt32
  var ties: Int
  /// The first block of `key` that is not kept; nil if all of them are, or if weights are kept one by one.
  var firstFrozen: Int?

  /// The cut that keeps nothing.
  static let nothing = Cut(key: .max, ties: 0)

  /// The ranked value at the border; nil if nothing is kept.
  var threshold: Float? { self == .nothing ? nil : Float(bitPattern: frog_bits(key)) }

  /// The cuts that keep as many of the largest keys as each of `counts` says.
  ///
  /// - Parameters:
  ///   - counts: numbers of keys to keep.
  ///   - histogram: the number of keys in each bin, by the upper 16 bits; at least as many in all as are to be kept.
  ///   - lowerHalves: counts the keys of some bins by their lower 16 bits; called once, unless nothing is to be kept.
  static func keeping(
    _ counts: [Int], histogram: [Int], lowerHalves: (_ bins: [Int]) throws -> LowerHalves
  ) throws -> [Cut] {
    let upper = try counts.map { count -> RankedBin? in
      guard count > 0 else { return nil }
      guard let found = RankedBin.holding(count, of: histogram.count, { histogram[$0] }) else {
        throw RunFailure(.internal, "\(count) weights were to be kept, fewer were counted")
      }
      return found
    }
    let bins = Set(upper.compactMap { $0?.bin }).sorted()
    guard !bins.isEmpty else { return counts.map { _ in .nothing } }
    let halves = try lowerHalves(bins)
    return try zip(counts, upper).map { count, upper in
      guard let upper else { return .nothing }
      guard let lower = RankedBin.holding(count - upper.above, of: LowerHalves.count, { halves[upper.bin, $0] }) else {
        throw RunFailure(.internal, "candidates are missing from the bin of the threshold")
      }
      return Cut(key: UInt32(upper.bin) << 16 | UInt32(lower.bin), ties: count - upper.above - lower.above)
    }
  }
}

/// The number of keys in some bins by the lower 16 bits of the key.
struct LowerHalves {
  /// The number of counts of one bin.
  static let count = 1 << 16

  /// The place of a bin's counts; -1 for bins that are not counted.
  private var places = [Int](repeating: -1, count: ScoreHistogram.binCount)
  private var counts: [Int]

  /// - Parameter bins: the bins that are counted, none twice.
  init(of bins: [Int]) {
    for (number, bin) in bins.enumerated() { places[bin] = number * Self.count }
    counts = [Int](repeating: 0, count: bins.count * Self.count)
  }

  /// Counts a key, if its bin is one that is counted.
  mutating func count(_ key: UInt32) {
    let place = places[Int(key >> 16)]
    if place >= 0 { counts[place + Int(key & 0xffff)] += 1 }
  }

  /// The number of keys of a counted bin that end in these 16 bits.
  subscript(bin: Int, lower: Int) -> Int { counts[places[bin] + lower] }

  /// Adds up the counts of all ranks, which count the same bins.
  ///
  /// Collective: every rank calls it.
  mutating func sum(over world: Communicator) throws { try world.allReduce(&counts, .sum) }
}

/// A key below which no weight can be among the `keep` largest, as far as is known by now.
///
/// Invariant: `key` only rises, and is never above the key of the final cut. Counts only grow, so a bound that is out of date is still
/// valid.
///
/// With `keep` 2, one value counted in bin 5 and two in bin 3, the bound is the lower edge of bin 3: `key` is `3 << 16`.
struct RisingBound {
  let keep: Int
  private(set) var key: UInt32 = 0

  init(keep: Int) {
    self.keep = keep
    if keep == 0 { key = .max }
  }

  /// Raises the bound to the lower edge of the highest bin such that `keep` values have been counted in it and above.
  mutating func raise(_ bins: (Int) -> Int) {
    guard keep > 0, let found = RankedBin.holding(keep, of: ScoreHistogram.binCount, bins) else { return }
    key = max(key, UInt32(found.bin) << 16)
  }
}
