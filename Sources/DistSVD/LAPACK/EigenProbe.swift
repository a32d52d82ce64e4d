/// A cheap test of an eigensystem: what G makes of one vector, and what V and Λ make of it; and the trace of both.
///
/// Eigensolvers have been seen to report success with wrong vectors. A vector x of random signs has a part in every eigenvector,
/// so one that is wrong, or in another's place, shows in G·x ≠ V·Λ·Vᵀ·x, and one that is not of length 1 or not orthogonal in x ≠ V·Vᵀ·x.
///
/// One wrong vector among n moves the residual by 1/√n or less, so what is found is at least an error of tolerance·√n in it.
package struct EigenProbe {
  let x: [Double]
  let product: [Double]
  let trace: Double

  /// Remembers `product` = G·x, x being ``signs(order:)``, and the trace of G.
  init(product: [Double], trace: Double) {
    x = Self.signs(order: product.count)
    self.product = product
    self.trace = trace
  }

  /// Refuses a matrix that has no eigensystem.
  ///
  /// - Throws: ``SolverError/notFinite(order:)``.
  func checkMatrix() throws(SolverError) {
    guard trace.isFinite, product.allSatisfy(\.isFinite) else { throw .notFinite(order: x.count) }
  }

  /// What V and Λ make of x: `rotated` = V·Vᵀ·x, and `rebuilt` = V·(Λ/λ)·Vᵀ·x with λ = ``scale(_:)`` of the eigenvalues.
  struct Images {
    var rotated: [Double]
    var rebuilt: [Double]
  }

  /// The largest eigenvalue by magnitude; if all are 0 the trace; if that is too, 1: a matrix of zeros has no scale, and must be reproduced
  /// as it is.
  func scale(_ values: [Double]) -> Double {
    let largest = values.reduce(0) { max($0, abs($1)) }
    return largest > 0 ? largest : trace != 0 ? abs(trace) : 1
  }

  /// How far `images` are from what G makes of x: the larger of ‖Gx − VΛVᵀx‖ / λ‖x‖ and ‖x − VVᵀx‖ / ‖x‖; NaN if either is.
  func residual(values: [Double], images: Images) -> Double {
    let length = Double(x.count).squareRoot()
    let unit = scale(values)
    let turned = Self.distance(product.map { $0 / unit }, images.rebuilt) / length
    let kept = Self.distance(x, images.rotated) / length
    return turned.isNaN || kept.isNaN ? .nan : max(turned, kept)
  }

  /// Why an eigensystem is not believed; nil if it passes.
  ///
  /// - Parameter residual: what ``residual(values:images:)`` said of it.
  func refusal(values: [Double], residual: Double, tolerance: Tolerance) -> SolverError? {
    let sum = values.reduce(0, +)
    // Both written so that what is not a number is refused too.
    guard residual <= tolerance.residual else { return .wrongVectors(residual: residual, order: x.count) }
    // Of a matrix that is semidefinite but for rounding, the diagonal may cancel.
    guard sum.isFinite, abs(sum - trace) <= tolerance.trace * max(abs(trace), scale(values)) else {
      return .wrongValues(sum: sum, trace: trace, order: x.count)
    }
    return nil
  }

  /// How far some eigenvectors are from being that: the largest of |vᵀ(Gx) − λ·vᵀx| / λ₁ and of the elements of |VᵀV − I|; NaN if one is.
  ///
  /// - Parameters:
  ///   - values: the eigenvalues they belong to.
  ///   - unit: the largest of all, as ``scale(_:)`` says.
  ///   - vectors: `order × values.count`, column-major.
  /// - Complexity: 2·order·count² operations.
  func residual(values: [Double], scale unit: Double, vectors: AlignedBuffer<Double>) throws(SolverError) -> Double {
    let (order, count) = (x.count, values.count)
    let products = try AlignedBuffer<Double>(count: count * count)
    DoubleLAPACK.multiply(
      vectors.start, vectors.start, aTransposed: true, rows: count, columns: count, inner: order, into: products.start)
    var worst = 0.0
    func note(_ error: Double) { worst = error <= worst ? worst : error.isNaN || worst.isNaN ? .nan : error }
    for column in 0..<count {
      let vector = vectors.start + column * order
      var (turned, kept) = (0.0, 0.0)
      for row in 0..<order {
        turned += vector[row] * (product[row] / unit)
        kept += vector[row] * x[row]
      }
      note(abs(turned - values[column] / unit * kept))
      for other in 0..<count { note(abs(products.elements[column * count + other] - (column == other ? 1 : 0))) }
    }
    return worst
  }

  /// The vector of random signs that matrices of `order` are tested with.
  static func signs(order: Int) -> [Double] { (0..<order).map(sign) }

  private static func distance(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  /// 1 or −1; the mixing steps of SplitMix64 (Steele, Lea and Flood 2014).
  static func sign(_ index: Int) -> Double {
    var z = UInt64(truncatingIfNeeded: index &+ 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return (z ^ (z >> 31)) & 1 == 0 ? 1 : -1
  }
}
