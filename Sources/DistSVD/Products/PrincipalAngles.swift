#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The angles between two spaces that are given by orthonormal vectors (Björck and Golub 1973).
public struct PrincipalAngles: Sendable, Equatable {
  /// As many as the smaller space has dimensions, ascending, in radians from 0 to π/2.
  public let angles: [Double]
  /// Their cosines, descending, from 0 to 1.
  public let cosines: [Double]

  /// The mean of cos²: ‖XᵀY‖²_F over the smaller number of vectors. 1 if one space holds the other, k/d for random spaces where
  /// the larger has k of d dimensions.
  public var overlap: Double {
    cosines.isEmpty ? 0 : cosines.reduce(0) { $0 + $1 * $1 } / Double(cosines.count)
  }

  /// The angles between the spaces of `first` and `second`, or of no more than `most` vectors of either, the first ones.
  ///
  /// Cosines are the singular values of XᵀY; sines those of Y − X·(XᵀY), which keep their digits where an angle is small and
  /// its cosine rounds to 1. Both go into each angle: within a few ε of the right one, small or large.
  ///
  /// - Throws: ``SolverError/differentShapes(_:_:)`` if the vectors are not of one length, ``SolverError``.
  /// - Complexity: 4·d·j·k + 4·d·k² operations for j and k ≤ j vectors of length d; d·k doubles.
  public init(
    between first: SingularVectors, and second: SingularVectors, most: Int = .max
  ) throws(SolverError) {
    let (x, y) = first.count >= second.count ? (first, second) : (second, first)
    guard x.dimension == y.dimension else {
      throw .differentShapes([first.dimension, first.count], [second.dimension, second.count])
    }
    let (dimension, many, few) = (x.dimension, min(x.count, most), min(y.count, most))
    let product = try AlignedBuffer<Double>(count: many * few)
    let rest = try AlignedBuffer<Double>(count: dimension * few)
    DoubleLAPACK.multiply(
      x.elements.start, y.elements.start, aTransposed: true, rows: many, columns: few, inner: dimension,
      into: product.start)
    rest.start.update(from: y.elements.start, count: dimension * few)
    DoubleLAPACK.multiply(
      x.elements.start, product.start, rows: dimension, columns: few, inner: many, alpha: -1, beta: 1, into: rest.start)
    let found = try DoubleLAPACK.singularValues(product.start, rows: many, columns: few)
    let sines = try DoubleLAPACK.singularValues(rest.start, rows: dimension, columns: few)
    cosines = found.map { min($0, 1) }
    angles = zip(found, sines.reversed()).map { atan2($1, $0) }
  }
}
