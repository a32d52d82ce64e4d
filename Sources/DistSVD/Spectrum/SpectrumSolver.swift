/// The solver that finds all singular values of a matrix in double, without vectors or with a few leading ones.
///
/// It takes the first way below that gives every singular value σ to ``accuracy``:
///
/// 1. The eigenvalues λ of the Gram matrix G, by its tridiagonal form and QL steps without vectors. Forming G squares
///    the condition: a small eigenvalue is known to (4 + √n/4)·ε·λ₁, so its root σ to that over 2σ.
/// 2. On one rank, where few values are not resolved and none is below 10⁻⁹·σ₁: the inverse of the triangular factor R
///    of the matrix gives these values (``InverseLanczos``). R takes a second read of the matrix.
/// 3. The bidiagonal form of R. It gives all values to a few ε·σ₁, as LAPACK's `gesvd` does for the matrix itself.
///    Ranks that are counted with a bound of n·ε·σ₁ are right then.
///
/// Every result is tested: Σλ must be the trace of G, and Σλ² the sum of its squared elements.
///
/// From order ``Tridiagonal/leastOrderOfStages`` on, the last bits depend on whether vectors are wanted: without them,
/// the tridiagonal form is made by way of a band.
package enum SpectrumSolver {
  /// The relative error above which singular values of the Gram matrix are replaced by those of another way.
  package static let accuracy = 1e-6

  /// The value below which the Gram matrix does not give singular values to ``accuracy``: σ₁·√((4 + √n/4)·ε / 2·10⁻⁶).
  ///
  /// It is 3.1e-5 of the largest singular value at order 384, and 4.7e-5 at order 4096. Small eigenvalues were off by
  /// at most 0.9 of (4 + √n/4)·ε·λ₁ in the worst case that was found: constructed matrices of orders 4 to 2000 and up
  /// to 100,000 rows, most of whose singular values are 1 and some 1e-5. Random matrices have a tenth of that, and
  /// matrices with a few large singular values less.
  package static func resolution(largest: Double, order: Int) -> Double {
    ((4 + Double(max(order, 1)).squareRoot() / 4) * .ulpOfOne / (2 * accuracy)).squareRoot() * largest
  }

  /// Finds the spectrum of `source` on one rank.
  ///
  /// - Parameter leading: the singular vectors that are wanted too.
  /// - Throws: ``SolverError``, or what `source` throws.
  /// - Complexity: m·n·p + 4/3·p³ operations with p = min(m, n); 2·m·n·p − 2/3·p³ more where the Gram matrix does not
  ///   resolve all values, and 8/3·p³ more for a bidiagonal form. p² doubles and a few panels of memory. 1 read of the
  ///   matrix, 1 more for its triangular factor, and 1 more for vectors of the longer side.
  ///
  /// C functions: `dsyrk`, `dsytrd`, `dsytrd_2stage`, `dsterf`; `dgeqrf`, `dtpqrt`; `dtrsm`, `dsyevd`; `dgebrd`,
  /// `dbdsqr`.
  package static func solve(_ source: some PanelSource, leading: LeadingVectors? = nil) throws -> SpectrumResult {
    let gram = try GramSpectrum(of: source, vectors: leading?.triplets)
    let values = try gram.spectrum { rough in
      var factor = try TriangularFactor(of: source)
      if let rough, let refined = try factor.refined(rough) { return .success((refined, .inverse)) }
      do throws(SolverError) { return .success((try factor.singularValues(), .qr)) } catch {
        guard error.blamesSolver else { throw error }
        return .failure(error)
      }
    }
    let sides = try LeadingSides(gram, leading, of: source)
    return try SpectrumResult(values.get(), sides)
  }
}

extension SpectrumResult {
  init(_ values: GramSpectrum.Values, _ sides: LeadingSides) {
    self.init(
      singularValues: values.singularValues, resolution: values.resolution, method: values.method,
      rescue: values.rescue ?? sides.rescue, left: sides.left, right: sides.right)
  }
}
