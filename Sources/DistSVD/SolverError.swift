/// Why a decomposition has no result.
public enum SolverError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The allocation that failed, in bytes.
  case outOfMemory(bytes: Int)
  /// LAPACK's `stedc` gave up: its `info`, for a matrix of order `order`.
  case noConvergence(info: Int, order: Int)
  /// The eigensolver's workspace has more elements than LAPACK's 32-bit integers count.
  case orderTooLarge(Int)

  /// One line, in words.
  public var description: String {
    switch self {
    case .outOfMemory(let bytes):
      "not enough memory: \(bytes) more bytes were needed"
    case .noConvergence(let info, let order):
      "the eigensolver did not converge on a Gram matrix of order \(order) (LAPACK stedc, info \(info))"
    case .orderTooLarge(let order):
      "a Gram matrix of order \(order) is beyond LAPACK's 32-bit workspace (largest: \(LocalEigensolver.largestOrder))"
    }
  }
}
