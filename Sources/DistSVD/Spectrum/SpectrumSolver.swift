/// All singular values of a matrix in double, without its vectors or with a few.
///
/// The eigenvalues of the Gram matrix come first: G = WᵀW (or W·Wᵀ), its tridiagonal form, QL steps without vectors. Forming G squares the
/// condition: a small eigenvalue is known to (4 + √n/4)·ε·λ₁, so its root σ to that over 2σ. Where that is more than 1e-6 of the
/// smallest one, a second read of the matrix makes its triangular factor R. Where few values are not resolved, and none is below 10⁻⁹·σ₁, R's inverse
/// gives those (``InverseLanczos``). Where many are, or the matrix has not its full rank, and in a team, the bidiagonal form of R gives all
/// singular values, each to a few ε·σ₁ as LAPACK's `gesvd` does for W itself: ranks counted with a bound of n·ε·σ₁ are right then.
///
/// From order ``Tridiagonal/leastOrderOfStages`` on the last bits depend on whether vectors are wanted: without, the tridiagonal form is made by way of a band.
///
/// Every result is tested: Σλ is the trace of G, Σλ² the sum of its squared elements.
public enum SpectrumSolver {
  /// The relative accuracy below which singular values are not left as the Gram matrix gives them.
  public static let accuracy = 1e-6

  /// The value below which the Gram matrix does not give singular values to ``accuracy``: σ₁·√((4 + √n/4)·ε / 2·10⁻⁶).
  ///
  /// 3.1e-5 of the largest for order 384, 4.7e-5 for 4096. Small eigenvalues were off by at most 0.9 of (4 + √n/4)·ε·λ₁: constructed
  /// matrices of orders 4 to 2000 and up to 100,000 rows, most of their singular values 1 and some 1e-5, which is the worst that was found; it is a
  /// tenth of that for random matrices, and less where a few singular values are large.
  public static func resolution(largest: Double, order: Int) -> Double {
    ((4 + Double(max(order, 1)).squareRoot() / 4) * .ulpOfOne / (2 * accuracy)).squareRoot() * largest
  }

  /// The spectrum of `source`.
  ///
  /// - Parameter leading: which singular vectors are wanted too.
  /// - Throws: ``SolverError``, or what `source` throws.
  /// - Complexity: m·n·p + 4/3·p³ operations with p = min(m, n), and 2·m·n·p − 2/3·p³ more where the Gram matrix does not resolve all
  ///   values, another 8/3·p³ for a bidiagonal form; p² doubles and a few panels of memory. 1 read of the matrix, 1 more for the second way, 1 more for vectors of the longer side.
  ///
  /// C functions: `dsyrk`, `dsytrd`, `dsytrd_2stage`, `dsterf`; `dgeqrf`, `dtpqrt`; `dtrsm`, `dsyevd`; `dgebrd`, `dbdsqr`.
  public static func solve(_ source: some PanelSource, leading: LeadingVectors? = nil) throws -> SpectrumResult {
    let gram = try GramSpectrum(of: source, vectors: leading?.count ?? 0)
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
