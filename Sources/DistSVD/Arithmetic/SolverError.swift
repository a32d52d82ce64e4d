/// Why a decomposition has no result.
package enum SolverError: Error, Equatable, Sendable, CustomStringConvertible {
  /// An allocation of this many bytes failed.
  case outOfMemory(bytes: Int)
  /// An eigensolver of LAPACK or ScaLAPACK gave up on a matrix of this order; `info` is its code.
  case noConvergence(info: Int, order: Int)
  /// A routine of LAPACK failed that cannot fail on finite numbers; `info` is its code.
  case lapack(routine: String, info: Int)
  /// The eigensolver's workspace for this order has more elements than LAPACK's 32-bit integers count.
  case orderTooLarge(Int)
  /// The eigensolver's workspace for this order on so many ranks has more elements than ScaLAPACK's 32-bit integers
  /// count.
  case teamOrderTooLarge(Int, members: Int)
  /// The eigensolver reported success, but its vectors do not diagonalize the matrix (``EigenProbe``).
  case wrongVectors(residual: Double, order: Int)
  /// The eigensolver reported success, but its eigenvalues do not add up to the trace of the matrix.
  case wrongValues(sum: Double, trace: Double, order: Int)
  /// A basis of so many columns is not orthonormal, or does not span what it was made of.
  case wrongBasis(residual: Double, columns: Int)
  /// The part of a matrix outside a truncated basis has a nuclear norm below its Frobenius norm, which cannot be.
  case wrongTail(nuclearNorm: Double, frobeniusNorm: Double)
  /// The matrix holds a NaN or an infinity.
  case notFinite(order: Int)
  /// Two matrices that are to be compared have different shapes: rows and columns of each.
  case differentShapes([Int], [Int])

  /// The largest order of a Gram matrix on one rank: above, the workspace of LAPACK's `stedc`, 1 + 4n + n² elements,
  /// has more elements than its 32-bit integers count.
  static let largestOrder = 46_338

  /// Whether the solver is to blame, so that another solver may do better.
  var blamesSolver: Bool {
    switch self {
    case .noConvergence, .wrongVectors, .wrongValues: true
    case .outOfMemory, .lapack, .orderTooLarge, .teamOrderTooLarge, .wrongBasis, .wrongTail, .notFinite,
      .differentShapes:
      false
    }
  }

  /// The error in words, on one line.
  package var description: String {
    switch self {
    case .outOfMemory(let bytes):
      "not enough memory: \(bytes) more bytes were needed"
    case .noConvergence(let info, let order):
      "the eigensolver did not converge on a Gram matrix of order \(order) (LAPACK info \(info))"
    case .lapack(let routine, let info):
      "LAPACK's \(routine) failed (info \(info)): the matrix holds numbers that are not finite, or too large"
    case .orderTooLarge(let order):
      "a Gram matrix of order \(order) is beyond LAPACK's 32-bit workspace (largest: \(Self.largestOrder))"
    case .teamOrderTooLarge(let order, let members):
      "a Gram matrix of order \(order) on \(members) ranks is beyond ScaLAPACK's 32-bit workspace; use more ranks"
    case .wrongVectors(let residual, let order):
      "the eigensolver's vectors do not diagonalize a Gram matrix of order \(order): relative residual \(residual)"
    case .wrongValues(let sum, let trace, let order):
      "the eigenvalues found of a Gram matrix of order \(order) add up to \(sum), its diagonal to \(trace)"
    case .wrongBasis(let residual, let columns):
      "LAPACK's orthonormal basis of \(columns) vectors is wrong: relative residual \(residual)"
    case .wrongTail(let nuclearNorm, let frobeniusNorm):
      "the rest of a truncated matrix has a nuclear norm of \(nuclearNorm), less than its Frobenius norm \(frobeniusNorm)"
    case .notFinite(let order):
      "a Gram matrix of order \(order) holds numbers that are not finite"
    case .differentShapes(let first, let second):
      "the shapes \(first.map(String.init).joined(separator: " × ")) and \(second.map(String.init).joined(separator: " × ")) differ"
    }
  }

  /// Refuses two matrices of different shapes.
  ///
  /// - Throws: ``differentShapes(_:_:)``.
  static func checkShapes(_ a: some PanelSource, _ b: some PanelSource) throws(SolverError) {
    guard a.rows == b.rows, a.columns == b.columns else {
      throw .differentShapes([a.rows, a.columns], [b.rows, b.columns])
    }
  }
}
