import CKernels
import DistSVD
import RunCore

/// The singular vectors of the core side, shared so that no member of a team holds all of them.
protocol SharedVectors {
  /// The number of vectors, and the length of each.
  var order: Int { get }
  /// Copies vectors to every member: `order × columns.count`, column-major, in ascending order of singular value.
  ///
  /// Collective: every member calls it.
  func gather(_ columns: Range<Int>, into vectors: UnsafeMutableBufferPointer<Float>) throws
}

/// The scores of ``FactorScores`` for a team whose members share V. The vectors pass by in panels while each member adds up its band of S.
///
/// A member holds a band of W, a band of S, and a panel of V. Every band takes one gathering of all vectors, so bands are long.
struct StreamedScores: ScorePanels {
  /// The number of elements of a band of S; a band of W is as large.
  static let bandElements = 1 << 24
  /// The number of elements of a panel of V.
  static let vectorElements = 1 << 21

  let shape: PanelShape
  let isCollective = true
  private let source: any PanelSource
  private let vectors: any SharedVectors
  private let agreeing: (() throws -> Void) throws -> Void
  /// The number of vectors that pass by at a time, unless there are fewer; a multiple of the slices that scores are summed in.
  private let width: Int
  private let weights: AlignedBuffer<Float>
  private let projection: AlignedBuffer<Float>
  private let scores: AlignedBuffer<Float>
  private let signed: AlignedBuffer<Float>

  /// - Parameters:
  ///   - longest: the length of the longest range that will be asked for, on any member.
  ///   - agreeing: does work that needs no communication, and throws on every member if it fails on one.
  init(
    _ source: any PanelSource, vectors: any SharedVectors, longest: Int,
    agreeing: @escaping (() throws -> Void) throws -> Void
  ) throws {
    shape = PanelShape(rows: source.rows, columns: source.columns)
    self.source = source
    self.vectors = vectors
    self.agreeing = agreeing
    width = min(shape.core, Self.panelWidth(core: shape.core))
    weights = try AlignedBuffer(count: longest * shape.core)
    projection = try AlignedBuffer(count: longest * width)
    scores = try AlignedBuffer(count: longest * shape.core)
    signed = try AlignedBuffer(count: width * shape.core)
  }

  /// The bytes that a member allocates for bands of `longest` lines.
  static func bytes(core: Int, longest: Int) -> Int {
    let width = min(core, panelWidth(core: core))
    return 4 * (2 * longest * core + longest * width + width * core)
  }

  private static func panelWidth(core: Int) -> Int { max(64, vectorElements / max(core, 1) / 64 * 64) }

  /// Ranges of the streaming side, each of at most about ``bandElements`` elements, divided as evenly among `members` as can be.
  ///
  /// - Parameter block: the side of the blocks that bands hold whole; nil if weights are ranked one by one.
  static func bands(_ shape: PanelShape, members: Int, block: Int?) -> [Range<Int>] {
    let length = bandLength(shape, members: members, block: block)
    return stride(from: 0, to: shape.stream, by: length).map { $0..<min(shape.stream, $0 + length) }
  }

  /// The length of all bands but the last: a multiple of 16, and then of `block`.
  static func bandLength(_ shape: PanelShape, members: Int, block: Int?) -> Int {
    let longest = max(16, bandElements / max(shape.core, 1) / 16 * 16)
    let share = (shape.stream - 1) / members + 1
    let steps = (share - 1) / longest + 1
    let length = max(16, ((share - 1) / (steps * 16) + 1) * 16)
    // Up and not down, so that no member gets a band more. Each takes one gathering of all vectors.
    return block.map { ((length - 1) / $0 + 1) * $0 } ?? length
  }

  func panel(_ range: Range<Int>) throws -> ScorePanel {
    let panel = ScorePanel(scores.elements, range: range, of: shape)
    let (core, length) = (shape.core, range.count)
    let weights = weights.prefix(length * core)
    try agreeing { if !range.isEmpty { try source.read(rows: panel.rows, columns: panel.columns, into: weights) } }
    for start in stride(from: 0, to: vectors.order, by: width) {
      let count = min(width, vectors.order - start)
      let signed = signed.prefix(count * core)
      try vectors.gather(start..<start + count, into: signed)
      if !range.isEmpty { add(signed, count: count, isFirst: start == 0, weights: weights, to: panel.scores) }
    }
    return panel
  }

  /// Computes S := S + |W·V_J|·|V_J|ᵀ for a panel of vectors V_J, which loses its signs.
  private func add(
    _ vectors: UnsafeMutableBufferPointer<Float>, count: Int, isFirst: Bool,
    weights: UnsafeMutableBufferPointer<Float>, to scores: UnsafeMutableBufferPointer<Float>
  ) {
    let projection = projection.prefix(scores.count / shape.core * count)
    let products = ScoreProducts(shape: shape)
    products.project(weights, on: vectors, count: count, into: projection)
    frog_absolute(projection.baseAddress, projection.count)
    frog_absolute(vectors.baseAddress, vectors.count)
    products.combine(projection, with: vectors, count: count, into: scores) {
      LocalBLAS.multiplyPositive($0, $1, rows: $2, columns: $3, inner: count, addingTo: !isFirst, $4)
    }
  }
}
