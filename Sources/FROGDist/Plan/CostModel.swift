import DistSVD

/// How long the stages of a matrix take on a rank or a team of ranks.
public struct CostModel: Sendable {
  /// What is done to every matrix.
  public let workload: Workload
  /// How fast a rank does it.
  public let rates: MachineRates

  /// The stages of one matrix.
  public struct Work: Sendable, Equatable {
    /// Seconds for singular vectors: Gram matrix and eigensolver, or the randomized range finder.
    public let basis: Double
    /// Seconds for all score panels.
    public let scores: Double
    /// Floating-point operations of both, of all members of a team together.
    public let operations: Double

    /// Seconds for all of it.
    public var total: Double { basis + scores }
  }

  /// Seconds for one score where scores take no product: read, count, keep, add up.
  static let secondsPerPlainScore = 3e-9
  /// Seconds to shuffle a matrix, for each weight: most swaps miss every cache.
  static let secondsPerShuffledWeight = 15e-9
  /// Seconds to draw a spectrum of n values and fit a power law to it, over n·√n: measured for n from 384 to 2048.
  static let secondsPerDrawnSpectrum = 4e-8

  /// A model of `workload` at `rates`.
  public init(_ workload: Workload, rates: MachineRates) {
    self.workload = workload
    self.rates = rates
  }

  /// The work of an m × n matrix on each of `team` ranks that share it.
  ///
  /// With p = min(m, n) and q = max(m, n): Gram matrix p²q operations, eigensolver 9p³, scores 4p²q for each pass; the members of a
  /// team share rows of the first and last evenly, and lose what ``MachineRates/TeamRates`` says in between.
  public func work(rows: Int, columns: Int, team: Int = 1) -> Work {
    let (order, core) = (min(rows, columns), Double(min(rows, columns)))
    let weights = core * Double(max(rows, columns))
    let members = Double(max(team, 1))
    let passes = Double(max(workload.passes, 1))
    var basis = 0.0
    var operations = 0.0
    switch workload.solver {
    case .none:
      let seconds = passes * weights * Self.secondsPerPlainScore / Double(rates.threads)
      return Work(basis: 0, scores: seconds / members, operations: 0)
    case .exact(let precision):
      let gram = weights * core
      let solve = 9 * core * core * core
      operations = gram + solve
      basis = gram / gramRate(precision, order) / members
      basis += solve / eigensolverRate(precision, order: order, team: team) / members
      if team > 1 {
        // The partial Gram matrices are added up, and every member gets all vectors in single precision.
        let bytes = core * core * (precision == .f64 ? 8 + 4 : 4 + 4)
        basis += bytes * (members - 1) / members / rates.teams.exchangeBytesPerSecond
      }
    case .spectrum(let leading, let replicas):
      let own = spectrum(rows: rows, columns: columns, team: team, leading)
      // Members of a team make no shuffled copies. Drawn spectra are one thread's work.
      let copies = Double(team > 1 ? 0 : replicas)
      let copy = spectrum(rows: rows, columns: columns, team: 1, nil)
      let shuffle = weights * Self.secondsPerShuffledWeight
      let draws = Double(workload.draws) * Self.secondsPerDrawnSpectrum * core * core.squareRoot()
      return Work(
        basis: own.basis + copies * (copy.basis + shuffle) + draws, scores: 0,
        operations: own.operations + copies * copy.operations)
    case .comparison(let leading, let ofDifference):
      let side = spectrum(rows: rows, columns: columns, team: team, leading)
      let difference = spectrum(rows: rows, columns: columns, team: team, nil)
      let differences = ofDifference ? 1.0 : 0
      let products = CrossProducts.operations(rows: rows, columns: columns)
      let sharing = min(members, Double(max(1, CrossProducts.blocks(rows: rows, columns: columns))))
      return Work(
        basis: 2 * side.basis + differences * difference.basis + products / gramRate(.f64, order) / sharing,
        scores: 0, operations: 2 * side.operations + differences * difference.operations + products)
    case .randomized(let rank, let oversample, let powerIterations):
      guard workload.approximates(order: order) else {
        return CostModel(workload.exact, rates: rates).work(rows: rows, columns: columns, team: team)
      }
      let options = RandomizedOptions(rank: rank, oversample: oversample, powerIterations: powerIterations, seed: 0)
      let (shared, own) = RandomizedSolver.operations(rows: rows, columns: columns, options: options)
      operations = shared + own
      basis = shared / gramRate(.f32, order) / members + own / eigensolverRate(.f64, order: order, team: 1)
    }
    let inner = Double(min(workload.vectorCount ?? order, order))
    let products = passes * 4 * weights * inner
    let plain = passes * weights * Self.secondsPerPlainScore / Double(rates.threads)
    // The measured rate covers what is done with every score; with few vectors that is most of the time.
    let scores = max(products / rates.scores.rate(at: order), plain) / members
    return Work(basis: basis, scores: scores, operations: operations + products)
  }

  /// Without the second way of ``DistSVD/SpectrumSolver``, since no shape tells whether the Gram matrix resolves all values.
  ///
  /// At the rates of whole eigensystems: reductions to tridiagonal form, half of which is bound by memory, have about that.
  private func spectrum(rows: Int, columns: Int, team: Int, _ leading: LeadingVectors?) -> Work {
    let order = min(rows, columns)
    let core = Double(order)
    let members = Double(max(team, 1))
    let operations = SpectrumSolver.operations(rows: rows, columns: columns, leading: leading)
    let gram = Double(rows) * Double(columns) * core
    var seconds = gram / gramRate(.f64, order) + (operations - gram) / eigensolverRate(.f64, order: order, team: team)
    seconds /= members
    if team > 1 { seconds += 8 * core * core * (members - 1) / members / rates.teams.exchangeBytesPerSecond }
    return Work(basis: seconds, scores: 0, operations: operations)
  }

  private func gramRate(_ precision: Precision, _ order: Int) -> Double {
    (precision == .f64 ? rates.gramDouble : rates.gramSingle).rate(at: order)
  }

  private func eigensolverRate(_ precision: Precision, order: Int, team: Int) -> Double {
    let alone = (precision == .f64 ? rates.eigensolverDouble : rates.eigensolverSingle).rate(at: order)
    return team > 1 ? alone * rates.teams.efficiency(team: team, order: order, precision: precision) : alone
  }
}
