/// The singular triplets (σ_k, u_k, v_k) of a matrix that are wanted.
package enum Triplets: Sendable, Equatable {
  /// All min(m, n) of them.
  case all
  /// Those of so many largest singular values, or all if the matrix has fewer.
  case leading(Int)
  /// Those of so many smallest singular values, or all if the matrix has fewer.
  case trailing(Int)

  /// Their positions in descending order of singular value, in a matrix with `order` of them.
  package func positions(order: Int) -> Range<Int> {
    switch self {
    case .all: 0..<order
    case .leading(let count): 0..<min(count, order)
    case .trailing(let count): max(0, order - count)..<order
    }
  }

  /// The positions of the vectors that are taken from the Gram matrix with these eigenvalues, ascending.
  ///
  /// Trailing vectors that the Gram matrix does not tell apart need all: only the matrix itself can sort them then.
  func positions(of eigenvalues: [Double]) -> Range<Int> {
    if case .trailing = self, let least = eigenvalues.first, let largest = eigenvalues.last {
      let bound = SpectrumSolver.resolution(largest: max(largest, 0).squareRoot(), order: eigenvalues.count)
      if max(least, 0).squareRoot() < bound { return 0..<eigenvalues.count }
    }
    return positions(order: eigenvalues.count)
  }
}
