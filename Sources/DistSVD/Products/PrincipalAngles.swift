#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The angles between two spaces, each given by orthonormal vectors (Björck and Golub 1973).
package struct PrincipalAngles: Sendable, Equatable {
  /// The angles in radians, ascending, from 0 to π/2. There are as many as the smaller space has dimensions.
  package let angles: [Double]
  /// The cosines of ``angles``, descending, from 1 to 0.
  package let cosines: [Double]

  /// The mean of cos², which is ‖XᵀY‖²_F over the smaller number of vectors.
  ///
  /// 1 if one space contains the other. About k/d for random spaces in d dimensions, of which the larger has k.
  package var overlap: Double {
    cosines.isEmpty ? 0 : cosines.reduce(0) { $0 + $1 * $1 } / Double(cosines.count)
  }

  /// The angles between the spaces that the first `most` vectors of `first` and of `second` span.
  ///
  /// Cosines are the singular values of XᵀY, and sines those of Y − X·(XᵀY). Sines keep their digits where an angle is
  /// small and its cosine rounds to 1. Each angle is made of both, so small and large angles are within a few ε.
  ///
  /// - Throws: ``SolverError/differentShapes(_:_:)`` if the vectors are not of one length, ``SolverError``.
  /// - Complexity: 4·d·j·k + 4·d·k² operations for j and k ≤ j vectors of length d; d·k doubles.
  package init(
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
