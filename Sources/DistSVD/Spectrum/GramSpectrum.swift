/// The tested eigenvalues and some eigenvectors of the Gram matrix G of a matrix; in a team, the same on every
/// member.
struct GramSpectrum {
  /// The probe that tests eigensystems of G.
  let probe: EigenProbe
  /// ‖G‖²_F.
  let squares: Double
  /// The factor of rounding by the way to the tridiagonal form (``Tridiagonal/rounding``).
  let rounding: Double
  /// All eigenvalues, ascending, or the reason to refuse them.
  let eigenvalues: Result<[Double], SolverError>
  /// The eigenvectors at ``positions``, `order × count`, in descending order of the eigenvalues; nil if none are wanted
  /// or all were refused.
  let vectors: AlignedBuffer<Double>?
  /// The positions of the eigenvalues, in descending order, whose vectors are wanted; empty if there are no eigenvalues.
  let positions: Range<Int>
  /// Why the usual algorithm's vectors were refused, if they were; else nil.
  let rescue: SolverError?

  /// Streams `source` once.
  ///
  /// - Parameter wanted: the vectors that are wanted; nil for eigenvalues alone.
  /// - Throws: as ``GramReduction/init(of:forVectors:)``.
  init(of source: some PanelSource, vectors wanted: Triplets?) throws {
    try self.init(GramReduction(of: source, forVectors: wanted != nil), vectors: wanted)
  }

  /// Finds the eigensystem of a Gram matrix that has been reduced.
  ///
  /// Collective among the ranks that have reduced it.
  ///
  /// - Parameter wanted: the vectors that are wanted; nil for eigenvalues alone.
  init(_ reduction: GramReduction, vectors wanted: Triplets?) throws {
    let (tridiagonal, probe, squares) = (reduction.tridiagonal, reduction.probe, reduction.squares)
    let (agreeing, sharing) = (reduction.agreeing, reduction.sharing)
    let order = tridiagonal.order
    self.probe = probe
    self.squares = squares
    rounding = tridiagonal.rounding
    // 1. The eigenvalues, tested by their sum and the sum of their squares.
    let found = try settledArray(order, order: order, agreeing: agreeing, sharing: sharing) {
      try tridiagonal.eigenvalues()
    }
    eigenvalues = found.flatMap { values in
      do throws(SolverError) { try probe.check(values, squares: squares) } catch { return .failure(error) }
      return .success(values)
    }
    // 2. The vectors, by one algorithm after the other until a result passes the test.
    var (vectors, rescue): (AlignedBuffer<Double>?, SolverError?) = (nil, nil)
    var positions = 0..<0
    if let wanted, case .success(let values) = eigenvalues {
      positions = wanted.positions(of: values)
      let count = positions.count
      for algorithm in Tridiagonal.Algorithm.choices(count: count, order: order) where vectors == nil {
        let elements = try settled(order * count, order: order, agreeing: agreeing, sharing: sharing) {
          try tridiagonal.vectors(positions, by: algorithm)
        }
        switch elements {
        case .failure(let error): rescue = error
        case .success(let elements):
          try reduction.rotate(elements, count)
          let own = Array(values.reversed()[positions])
          let refusal = try agreed(agreeing) { try probe.refusal(values: own, of: values, vectors: elements) }
          if let refusal { rescue = refusal } else { vectors = elements }
        }
      }
    }
    self.positions = positions
    self.vectors = vectors
    self.rescue = rescue
  }

  /// Singular values, and the way they were found.
  struct Values {
    /// The singular values, descending.
    let singularValues: [Double]
    /// As ``SpectrumResult/resolution``.
    let resolution: Double
    let method: SpectrumResult.Method
    let rescue: SolverError?
  }

  /// Singular values, descending, that were found by another way than the Gram matrix.
  typealias Others = (singularValues: [Double], method: SpectrumResult.Method)

  /// The singular values of the Gram matrix if they are accurate enough, else those of `others`, tested.
  ///
  /// - Parameter others: finds singular values by another way, or says why there are none; in a team, the same on all
  ///   members. It is given those of the Gram matrix, or nil if they were refused.
  func spectrum(others: (Values?) throws -> Result<Others, SolverError>) rethrows -> Result<Values, SolverError> {
    var (rough, refusal): (Values?, SolverError?) = (nil, nil)
    switch eigenvalues {
    case .failure(let error): refusal = error
    case .success(let values):
      // Rounding can leave a null direction a little below zero.
      let singularValues = values.reversed().map { max($0, 0).squareRoot() }
      let largest = singularValues.first ?? 0
      let bound = SpectrumSolver.resolution(largest: largest, order: values.count) * rounding.squareRoot()
      // Where the elements of G are too small for a double, the eigenvalues have lost their digits, and so has the
      // trace that tests them.
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

  /// Refuses singular values whose squares do not add up as the eigenvalues of the Gram matrix do.
  private func check(_ singularValues: [Double]) throws(SolverError) {
    if probe.trace >= EigenProbe.leastSum {
      try probe.check(singularValues.map { $0 * $0 }, squares: squares)
    } else if !singularValues.allSatisfy({ $0 >= 0 && $0.isFinite }) {
      throw .wrongValues(sum: singularValues.reduce(0, +), trace: probe.trace, order: singularValues.count)
    }
  }
}
