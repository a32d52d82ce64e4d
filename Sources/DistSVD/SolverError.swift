/// Why a decomposition has no result.
public enum SolverError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The allocation that failed, in bytes.
  case outOfMemory(bytes: Int)
  /// LAPACK's `stedc` gave up: its `info`, for a matrix of order `order`.
  case noConvergence(info: Int, order: Int)
  /// A call of LAPACK that cannot fail on finite numbers did: its name, its `info`.
  case lapack(routine: String, info: Int)
  /// The eigensolver's workspace has more elements than LAPACK's 32-bit integers count.
  case orderTooLarge(Int)

  /// One line, in words.
  public var description: String {
    switch self {
    case .outOfMemory(let bytes):
      "not enough memory: \(bytes) more bytes were needed"
    case .noConvergence(let info, let order):
      "the eigensolver did not converge on a Gram matrix of order \(order) (LAPACK stedc, info \(info))"
    case .lapack(let routine, let info):
      "LAPACK's \(routine) failed (info \(info)): the matrix holds numbers that are not finite, or too large"
    case .orderTooLarge(let order):
      "a Gram matrix of order \(order) is beyond LAPACK's 32-bit workspace (largest: \(LocalEigensolver.largestOrder))"
    }
  }
}
