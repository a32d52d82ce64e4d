/// A cheap test of an eigensystem G = V·Λ·Vᵀ by one vector of random signs, and by the trace.
///
/// Eigensolvers have been seen to report success with wrong vectors. A vector x of random signs has a part in every
/// eigenvector. So an eigenvector that is wrong, or in another's place, shows in G·x ≠ V·Λ·Vᵀ·x. One that is not of
/// length 1, or not orthogonal to the others, shows in x ≠ V·Vᵀ·x. Wrong eigenvalues that leave the vectors alone show
/// in Σλ ≠ tr G.
///
/// The probe is made before the eigensolver destroys G, and asked afterwards:
///
///     let probe = try EigenProbe(gram)                         // remembers G·x and tr G
///     try probe.checkMatrix()                                  // refuses NaN and infinity in G
///     let residual = try probe.residual(values: values, vectors: vectors)
///     if let refusal = probe.refusal(values: values, residual: residual, tolerance: tolerance) { throw refusal }
///
/// One wrong vector among n moves the residual by 1/√n or less. The test therefore finds errors of tolerance·√n and
/// more in one vector.
package struct EigenProbe {
  /// The vector of random signs, as ``signs(order:)`` gives it.
  let x: [Double]
  /// G·x.
  let product: [Double]
  /// The trace of G.
  let trace: Double

  /// Remembers `product` = G·x, where x is ``signs(order:)``, and the trace of G.
  init(product: [Double], trace: Double) {
    x = Self.signs(order: product.count)
    self.product = product
    self.trace = trace
  }

  /// Refuses a matrix that has no eigensystem, since an element is not finite.
  ///
  /// - Throws: ``SolverError/notFinite(order:)``.
  func checkMatrix() throws(SolverError) {
    guard trace.isFinite, product.allSatisfy(\.isFinite) else { throw .notFinite(order: x.count) }
  }

  /// The images of x under an eigensystem that is tested.
  struct Images {
    /// V·Vᵀ·x.
    var rotated: [Double]
    /// V·(Λ/λ)·Vᵀ·x, where λ is the ``scale(_:)`` of the eigenvalues.
    var rebuilt: [Double]
  }

  /// The magnitude that errors are measured against: that of the largest eigenvalue.
  ///
  /// Where all eigenvalues are 0 it is that of the trace. Where the trace is 0 too it is 1, since a matrix of zeros has
  /// no scale and must be reproduced as it is.
  func scale(_ values: [Double]) -> Double {
    let largest = values.reduce(0) { max($0, abs($1)) }
    return largest > 0 ? largest : trace != 0 ? abs(trace) : 1
  }

  /// The larger of ‖Gx − VΛVᵀx‖ / λ‖x‖ and ‖x − VVᵀx‖ / ‖x‖, where λ is the ``scale(_:)`` of the values; NaN if either
  /// is.
  func residual(values: [Double], images: Images) -> Double {
    let length = Double(x.count).squareRoot()
    let unit = scale(values)
    let turned = Self.distance(product.map { $0 / unit }, images.rebuilt) / length
    let kept = Self.distance(x, images.rotated) / length
    return turned.isNaN || kept.isNaN ? .nan : max(turned, kept)
  }

  /// The reason to refuse an eigensystem; nil if it passes.
  ///
  /// - Parameter residual: that of the vectors, as ``residual(values:images:)`` gives it; 0 if there are none.
  func refusal(values: [Double], residual: Double, tolerance: Tolerance) -> SolverError? {
    let sum = values.reduce(0, +)
    // Both guards are written so that NaN is refused too.
    guard residual <= tolerance.residual else { return .wrongVectors(residual: residual, order: x.count) }
    // The diagonal may cancel where the matrix is semidefinite only but for rounding.
    guard sum.isFinite, abs(sum - trace) <= tolerance.trace * max(abs(trace), scale(values)) else {
      return .wrongValues(sum: sum, trace: trace, order: x.count)
    }
    return nil
  }

  /// The reason to refuse some or all eigenvectors in double; nil if they pass.
  ///
  /// - Parameters:
  ///   - values: the eigenvalues of the vectors, in their order.
  ///   - all: all eigenvalues.
  ///   - vectors: `order × values.count`, column-major.
  /// - Complexity: 6·order² operations for all vectors, 2·order·count² for some.
  func refusal(values: [Double], of all: [Double], vectors: AlignedBuffer<Double>) throws(SolverError) -> SolverError? {
    let isWhole = values.count == all.count
    let residual =
      try isWhole
      ? residual(values: values, vectors: vectors) : residual(values: values, scale: scale(all), vectors: vectors)
    let tolerance = isWhole ? Tolerance(order: x.count, Double.self) : Tolerance(products: x.count)
    // Written so that NaN is refused too.
    return residual <= tolerance.residual ? nil : .wrongVectors(residual: residual, order: x.count)
  }

  /// The error of some eigenvectors: the largest of |vᵀ(Gx) − λ·vᵀx| / λ₁ and of the elements of |VᵀV − I|; NaN if one
  /// is.
  ///
  /// - Parameters:
  ///   - values: the eigenvalues of the vectors, in their order.
  ///   - unit: λ₁, the ``scale(_:)`` of all eigenvalues.
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

  /// The vector of random signs that tests matrices of `order`.
  static func signs(order: Int) -> [Double] { (0..<order).map(sign) }

  private static func distance(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  /// The random sign of an index, 1 or −1, by the mixing steps of SplitMix64 (Steele, Lea and Flood 2014).
  static func sign(_ index: Int) -> Double {
    var z = UInt64(truncatingIfNeeded: index &+ 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return (z ^ (z >> 31)) & 1 == 0 ? 1 : -1
  }
}
