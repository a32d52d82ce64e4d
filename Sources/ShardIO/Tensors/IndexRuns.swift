/// The positions that a matrix takes along one dimension of a stored tensor: `count` runs of `length`
/// consecutive ones, the first run at `first`, and `stride` from the start of one run to the next.
///
/// The queries of interleaved heads, `[heads, 3, d]`, are runs of d rows with stride 3d; every second
/// column has length 1 and stride 2. Position 0 … ``total`` − 1 counts what is taken; a stored position
/// counts what is there.
public struct IndexRuns: Sendable, Equatable {
  /// The stored position of the first run.
  public let first: Int
  /// Consecutive positions in a run, at least 1.
  public let length: Int
  /// From the start of one run to that of the next, at least `length`.
  public let stride: Int
  /// The number of runs; 0 only where there is nothing to take.
  public let count: Int

  /// Runs that overlap nowhere and end within `Int`; nil for others. The stride of a single run plays no
  /// part: it is raised to the length if it is smaller.
  public init?(first: Int, length: Int, stride: Int, count: Int) {
    guard first >= 0, length >= 1, stride >= 0, count >= 1, count == 1 || stride >= length else { return nil }
    let (gaps, tooFar) = (count - 1).multipliedReportingOverflow(by: stride)
    let (last, pastLast) = first.addingReportingOverflow(gaps)
    guard !tooFar, !pastLast, !last.addingReportingOverflow(length).overflow else { return nil }
    self.first = first
    self.length = length
    self.stride = max(stride, length)
    self.count = count
  }

  /// All positions of a dimension, as one run from 0; none for a count that is not positive.
  public init(all count: Int) {
    first = 0
    length = max(count, 1)
    stride = length
    self.count = count > 0 ? 1 : 0
  }

  /// One run.
  ///
  /// - Precondition: `positions` starts at 0 or later.
  public init(_ positions: Range<Int>) {
    precondition(positions.lowerBound >= 0, "a run starts inside its dimension")
    first = positions.lowerBound
    length = max(positions.count, 1)
    stride = length
    count = positions.isEmpty ? 0 : 1
  }

  /// How many positions are taken.
  public var total: Int { length * count }

  /// One past the last stored position.
  public var end: Int { count == 0 ? first : first + (count - 1) * stride + length }

  /// Whether all runs follow each other without a gap.
  public var isOneRun: Bool { count <= 1 || stride == length }

  /// The stored position of `position`.
  ///
  /// - Precondition: 0 ≤ `position` < ``total``.
  public func stored(_ position: Int) -> Int {
    precondition(position >= 0 && position < total, "position outside the runs")
    let (run, offset) = position.quotientAndRemainder(dividingBy: length)
    return first + run * stride + offset
  }

  /// How many of the positions taken are stored before `stored`.
  func positions(before stored: Int) -> Int {
    guard stored > first else { return 0 }
    let (run, offset) = (stored - first).quotientAndRemainder(dividingBy: stride)
    return run >= count ? total : run * length + min(offset, length)
  }

  /// The consecutive stored ranges that `positions` cover, ascending, as few as can be.
  ///
  /// - Precondition: `positions` within 0..<``total``; may be empty.
  /// - Complexity: O(1) for each.
  public func pieces(of positions: Range<Int>) -> Pieces {
    precondition(positions.lowerBound >= 0 && positions.upperBound <= total, "positions outside the runs")
    return Pieces(runs: self, positions: positions)
  }

  /// Stored ranges, made as they are asked for.
  public struct Pieces: Sequence, IteratorProtocol, Sendable {
    private let runs: IndexRuns
    private var positions: Range<Int>

    fileprivate init(runs: IndexRuns, positions: Range<Int>) {
      self.runs = runs
      self.positions = positions
    }

    /// The next range; never empty.
    public mutating func next() -> Range<Int>? {
      guard !positions.isEmpty else { return nil }
      let position = positions.lowerBound
      let left = runs.isOneRun ? positions.count : runs.length - position % runs.length
      let count = Swift.min(left, positions.count)
      positions = position + count..<positions.upperBound
      let start = runs.stored(position)
      return start..<start + count
    }
  }

  /// Whether `positions` are stored one after the other.
  func isConsecutive(_ positions: Range<Int>) -> Bool {
    isOneRun || positions.isEmpty || positions.lowerBound / length == (positions.upperBound - 1) / length
  }
}

extension IndexRuns: Codable {
  private enum Key: String, CodingKey { case first, length, stride, count }

  /// - Throws: `DecodingError` for runs that no initializer makes.
  public init(from decoder: any Decoder) throws {
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

  /// Writes the four numbers.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(first, forKey: .first)
    try values.encode(length, forKey: .length)
    try values.encode(stride, forKey: .stride)
    try values.encode(count, forKey: .count)
  }
}
