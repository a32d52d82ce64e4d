import CKernels
import DistSVD
import FactorCache
import RunCore
import Weights

/// Scores of a matrix whose factors are stored: |U|·Σ·|V|ᵀ, and |U_r·Σ_r·V_rᵀ| for ``ScoreKind/lift``.
///
/// A panel of S takes the same lines of U (of V if W is wide) and all vectors of the core side: one product, where ``FactorScores`` needs
/// two, and no weight is read.
///
/// Invariant: a panel depends on its range and on the stored factors alone, whoever makes it.
///
/// Memory is a `core × count` matrix and two panels of single precision.
struct StoredScores: ScorePanels {
  let shape: PanelShape
  private let isLift: Bool
  private let count: Int
  /// U if W is tall, Vᵀ if it is wide: the side that streams.
  private let far: FactorPanels
  /// The singular values in the units of panels.
  private let values: [Float]
  /// The vectors of the core side, `core × count`, column-major; their absolute values unless the score is lift.
  private let near: AlignedBuffer<Float>
  private let projection: AlignedBuffer<Float>
  private let scores: AlignedBuffer<Float>

  /// - Parameters:
  ///   - count: the number of leading triplets that scores are made of.
  ///   - exponent: the exponent e; the scores are those of W·2^−e.
  ///   - longest: the length of the longest range that will be asked for.
  init(_ factors: MatrixFactors, count: Int, isLift: Bool, exponent: Int, longest: Int) throws {
    shape = PanelShape(rows: factors.rows, columns: factors.columns)
    self.isLift = isLift
    self.count = count
    far = shape.isTall ? factors.left : factors.right
    values = factors.singularValues[..<count].map { Float(Double($0).times(powerOfTwo: -exponent)) }
    near = try factors.vectors(shape.isTall ? .right : .left, 0..<count)
    if !isLift { frog_absolute(near.elements.baseAddress, near.count) }
    projection = try AlignedBuffer(count: longest * count)
    scores = try AlignedBuffer(count: longest * shape.core)
  }

  func panel(_ range: Range<Int>) throws -> ScorePanel {
    let panel = ScorePanel(scores.elements, range: range, of: shape)
    guard !range.isEmpty else { return panel }
    // 1. W·V = U·Σ for these lines, which lie as a product would leave them: `count × length` if W is tall, `length × count` if it is wide.
    let projection = projection.prefix(range.count * count)
    try far.read(
      rows: shape.isTall ? range : 0..<count, columns: shape.isTall ? 0..<count : range, into: projection)
    multiplyByValues(projection, length: range.count)
    // 2. The product with the other side.
    let products = ScoreProducts(shape: shape)
    if isLift {
      products.combine(projection, with: near.elements, count: count, into: panel.scores) {
        LocalBLAS.multiply($0, $1, rows: $2, columns: $3, inner: count, into: $4)
      }
      frog_absolute(panel.scores.baseAddress, panel.scores.count)
    } else {
      frog_absolute(projection.baseAddress, projection.count)
      // Small terms first: the rounding of a sum grows with what has been added up.
      products.combine(projection, with: near.elements, count: count, into: panel.scores) {
        LocalBLAS.multiplyPositive($0, $1, rows: $2, columns: $3, inner: count, fromLast: true, $4)
      }
    }
    return panel
  }

  private func multiplyByValues(_ projection: UnsafeMutableBufferPointer<Float>, length: Int) {
    guard let start = projection.baseAddress else { return }
    if shape.isTall {
      for line in 0..<length { frog_multiply(start + line * count, count, values) }
    } else {
      for (triplet, value) in values.enumerated() {
        let row = start + triplet * length
        frog_outer(value, row, length, row)
      }
    }
  }
}
