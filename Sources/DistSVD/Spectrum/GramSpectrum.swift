/// What the Gram matrix of a matrix says of its singular values and its leading vectors; tested. In a team, the same on every member.
struct GramSpectrum {
  /// G·x and the trace of G.
  let probe: EigenProbe
  /// ‖G‖²_F.
  let squares: Double
  /// See ``Tridiagonal/rounding``.
  let rounding: Double
  /// All eigenvalues, ascending; or why they are not believed.
  let eigenvalues: Result<[Double], SolverError>
  /// Eigenvectors of the largest, `order × count` in descending order; nil if none are wanted or believed.
  let vectors: AlignedBuffer<Double>?
  /// How many vectors there are.
  let count: Int
  /// Why the vectors are another algorithm's than the usual one, or are missing.
  let rescue: SolverError?

  /// Streams `source` once.
  ///
  /// - Parameter count: how many vectors are wanted.
  /// - Throws: ``SolverError/notFinite(order:)``, ``SolverError/outOfMemory(bytes:)``, ``SolverError/orderTooLarge(_:)``, or what `source` throws.
  init(of source: some PanelSource, vectors count: Int) throws {
    let gram = try GramMatrix<Double>(of: source)
    let order = gram.order
    let probe = try EigenProbe(gram)
    try probe.checkMatrix()
    let squares = DoubleLAPACK.symmetricSquares(gram.elements, order: order)
    let form = try count > 0 ? TridiagonalForm(reducing: gram.elements, order: order) : nil
    try self.init(
      form?.tridiagonal ?? Tridiagonal(reducing: gram.elements, order: order), probe: probe, squares: squares,
      count: min(count, order), agreeing: { try $0() }, sharing: { $0 },
      rotate: { try form?.rotate($0, count: min(count, order)) })
  }

  /// Finds the eigensystem of the reduced matrix.
  ///
  /// Collective among the ranks that `agreeing` and `sharing` speak for.
  ///
  /// - Parameters:
  ///   - count: vectors, at most the order.
  ///   - agreeing: does local work; if it fails on one of the ranks, throws the same error on all.
  ///   - sharing: gives all ranks the numbers of the first.
  ///   - rotate: multiplies vectors of T, the same on all ranks, by Q.
  init(
    _ tridiagonal: Tridiagonal, probe: EigenProbe, squares: Double, count: Int,
    agreeing: (() throws -> Void) throws -> Void, sharing: ([Double]) throws -> [Double],
    rotate: (AlignedBuffer<Double>) throws -> Void
  ) throws {
    let order = tridiagonal.order
    self.probe = probe
    self.squares = squares
    rounding = tridiagonal.rounding
    self.count = count
    let found = try settled(order, order: order, agreeing: agreeing, sharing: sharing) {
      try tridiagonal.eigenvalues()
    }
    eigenvalues = found.flatMap { values in
      do throws(SolverError) { try probe.check(values, squares: squares) } catch { return .failure(error) }
      return .success(values)
    }
    var (vectors, rescue): (AlignedBuffer<Double>?, SolverError?) = (nil, nil)
    if count > 0, case .success(let values) = eigenvalues {
      for algorithm in Tridiagonal.Algorithm.allCases where vectors == nil {
        let elements = try settled(order * count, order: order, agreeing: agreeing, sharing: sharing) {
          try tridiagonal.leadingVectors(count, by: algorithm)
        }
        switch elements {
        case .failure(let error): rescue = error
        case .success(let elements):
          let buffer = try agreed(agreeing) { try AlignedBuffer<Double>(count: order * count) }
          _ = buffer.elements.update(fromContentsOf: elements)
          try rotate(buffer)
          let leading = Array(values.suffix(count).reversed())
          let residual = try agreed(agreeing) {
            try probe.residual(values: leading, scale: probe.scale(values), vectors: buffer)
          }
          if residual <= EigenProbe.Tolerance(products: order).residual {
            vectors = buffer
          } else {
            rescue = .wrongVectors(residual: residual, order: order)
          }
        }
      }
    }
    self.vectors = vectors
    self.rescue = rescue
  }

  /// Singular values and where they come from.
  struct Values {
    let singularValues: [Double]
    let resolution: Double
    let method: SpectrumResult.Method
    let rescue: SolverError?
  }

  /// Singular values that were found another way, descending, and which.
  typealias Others = (singularValues: [Double], method: SpectrumResult.Method)

  /// The Gram matrix's values where they are accurate enough, tested ones of `others` where they are not.
  ///
  /// - Parameter others: is given the Gram matrix's values, or nil if they cannot be believed; gives singular values, or why there are none; in a
  ///   team the same on all members.
  func spectrum(others: (Values?) throws -> Result<Others, SolverError>) rethrows -> Result<Values, SolverError> {
    var (rough, refusal): (Values?, SolverError?) = (nil, nil)
    switch eigenvalues {
    case .failure(let error): refusal = error
    case .success(let values):
      // Rounding can leave a null direction a little below zero.
      let singularValues = values.reversed().map { max($0, 0).squareRoot() }
      let largest = singularValues.first ?? 0
      let bound = SpectrumSolver.resolution(largest: largest, order: values.count) * rounding.squareRoot()
      // Elements of G that are too small for a double leave nothing of them, and nothing to test with.
      if probe.trace >= EigenProbe.leastSum, let smallest = singularValues.last, smallest >= bound {
        return .success(Values(singularValues: singularValues, resolution: 0, method: .gram, rescue: nil))
      }
      rough = Values(singularValues: singularValues, resolution: bound, method: .gram, rescue: nil)
    }
    let second = try others(probe.trace >= EigenProbe.leastSum ? rough : nil)
    do throws(SolverError) {
      let (values, method) = try second.get()
      try check(values)
      return .success(Values(singularValues: values, resolution: 0, method: method, rescue: refusal))
    } catch {
      guard let rough else { return .failure(error) }
      return .success(
        Values(
          singularValues: rough.singularValues, resolution: rough.resolution, method: .gram, rescue: error))
    }
  }

  /// Refuses singular values whose squares are not those of the Gram matrix.
  private func check(_ singularValues: [Double]) throws(SolverError) {
    if probe.trace >= EigenProbe.leastSum {
      try probe.check(singularValues.map { $0 * $0 }, squares: squares)
    } else if !singularValues.allSatisfy({ $0 >= 0 && $0.isFinite }) {
      throw .wrongValues(sum: singularValues.reduce(0, +), trace: probe.trace, order: singularValues.count)
    }
  }
}
