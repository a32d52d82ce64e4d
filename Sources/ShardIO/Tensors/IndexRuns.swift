/// The positions that a matrix takes along one dimension of a stored tensor.
///
/// They are `count` runs of `length` consecutive positions. The first run starts at `first`, and each run `stride`
/// after the start of the one before. The queries of interleaved heads, `[heads, 3, d]`, are runs of d rows with stride
/// 3d:
///
///     let rows = IndexRuns(first: 0, length: 2, stride: 6, count: 2)!   // d = 2, two heads: takes 0 1 and 6 7
///     rows.total         // 4
///     rows.stored(2)     // 6
///
/// A *position*, from 0 to ``total`` − 1, counts the elements that are taken. A *stored position* counts all elements
/// that are there.
package struct IndexRuns: Sendable, Equatable {
  /// The stored position of the first run.
  package let first: Int
  /// The consecutive positions of a run, at least 1.
  package let length: Int
  /// The distance from the start of one run to the start of the next, at least `length`.
  package let stride: Int
  /// The number of runs; 0 only if nothing is taken.
  package let count: Int

  /// Makes runs; nil if they overlap or do not end within `Int`.
  ///
  /// The stride of a single run plays no part, and is raised to the length if it is smaller.
  package init?(first: Int, length: Int, stride: Int, count: Int) {
    guard first >= 0, length >= 1, stride >= 0, count >= 1, count == 1 || stride >= length else { return nil }
    let (gaps, tooFar) = (count - 1).multipliedReportingOverflow(by: stride)
    let (last, pastLast) = first.addingReportingOverflow(gaps)
    guard !tooFar, !pastLast, !last.addingReportingOverflow(length).overflow else { return nil }
    self.first = first
    self.length = length
    self.stride = max(stride, length)
    self.count = count
  }

  /// Takes all positions of a dimension, as one run from 0; none if `count` is not positive.
  package init(all count: Int) {
    first = 0
    length = max(count, 1)
    stride = length
    self.count = count > 0 ? 1 : 0
  }

  /// Takes one run.
  ///
  /// - Precondition: `positions` starts at 0 or later.
  package init(_ positions: Range<Int>) {
    precondition(positions.lowerBound >= 0, "a run starts inside its dimension")
    first = positions.lowerBound
    length = max(positions.count, 1)
    stride = length
    count = positions.isEmpty ? 0 : 1
  }

  /// The same runs, `distance` positions later.
  ///
  /// - Precondition: the runs stay within a tensor that exists, so that nothing can overflow.
  package func moved(down distance: Int) -> IndexRuns { moved(up: -distance) ?? self }

  /// The same runs, `distance` positions earlier; nil if they would begin before position 0.
  package func moved(up distance: Int) -> IndexRuns? {
    let (first, overflow) = first.subtractingReportingOverflow(distance)
    guard !overflow, first >= 0 else { return nil }
    return count == 0 ? self : IndexRuns(first: first, length: length, stride: stride, count: count)
  }

  /// The number of positions that are taken.
  package var total: Int { length * count }

  /// The stored position after the last that is taken.
  package var end: Int { count == 0 ? first : first + (count - 1) * stride + length }

  /// Whether the runs follow each other without gaps.
  package var isOneRun: Bool { count <= 1 || stride == length }

  /// The stored position of the element at `position`.
  ///
  /// - Precondition: 0 ≤ `position` < ``total``.
  package func stored(_ position: Int) -> Int {
    precondition(position >= 0 && position < total, "position outside the runs")
    let (run, offset) = position.quotientAndRemainder(dividingBy: length)
    return first + run * stride + offset
  }

  /// The number of positions whose stored positions are before `stored`.
  func positions(before stored: Int) -> Int {
    guard stored > first else { return 0 }
    let (run, offset) = (stored - first).quotientAndRemainder(dividingBy: stride)
    return run >= count ? total : run * length + min(offset, length)
  }

  /// The stored ranges that `positions` cover, ascending and as few as possible.
  ///
  /// - Precondition: `positions` lies within 0..<``total``. It may be empty.
  /// - Complexity: O(1) for each range.
  package func pieces(of positions: Range<Int>) -> Pieces {
    precondition(positions.lowerBound >= 0 && positions.upperBound <= total, "positions outside the runs")
    return Pieces(runs: self, positions: positions)
  }

  /// A sequence of stored ranges, which are made as they are asked for.
  package struct Pieces: Sequence, IteratorProtocol, Sendable {
    private let runs: IndexRuns
    private var positions: Range<Int>

    fileprivate init(runs: IndexRuns, positions: Range<Int>) {
      self.runs = runs
      self.positions = positions
    }

    /// The next range, which is never empty.
    package mutating func next() -> Range<Int>? {
      guard !positions.isEmpty else { return nil }
      let position = positions.lowerBound
      let left = runs.isOneRun ? positions.count : runs.length - position % runs.length
      let count = Swift.min(left, positions.count)
      positions = position + count..<positions.upperBound
      let start = runs.stored(position)
      return start..<start + count
    }
  }

  /// Whether the elements at `positions` are stored one after the other.
  func isConsecutive(_ positions: Range<Int>) -> Bool {
    isOneRun || positions.isEmpty || positions.lowerBound / length == (positions.upperBound - 1) / length
  }
}

extension IndexRuns: Codable {
  private enum Key: String, CodingKey { case first, length, stride, count }

  /// - Throws: `DecodingError` for runs that no initializer makes.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    let first = try values.decode(Int.self, forKey: .first)
    let length = try values.decode(Int.self, forKey: .length)
    let stride = try values.decode(Int.self, forKey: .stride)
    let count = try values.decode(Int.self, forKey: .count)
    let none = IndexRuns(all: 0)
    if (first, length, stride, count) == (none.first, none.length, none.stride, none.count) {
      self = none
    } else if let runs = IndexRuns(first: first, length: length, stride: stride, count: count) {
      self = runs
    } else {
      throw DecodingError.dataCorruptedError(
        forKey: .count, in: values, debugDescription: "runs that overlap or do not fit in Int")
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(first, forKey: .first)
    try values.encode(length, forKey: .length)
    try values.encode(stride, forKey: .stride)
    try values.encode(count, forKey: .count)
  }
}
