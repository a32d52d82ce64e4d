import DistSVD
import Execution
import Planning

/// What `analyze` does to every matrix: it finds singular values, some leading vectors, and the values of shuffled copies.
package struct SpectrumWork: MatrixWork, Equatable {
  /// Seconds to shuffle a matrix, for each weight. Most swaps miss every cache.
  static let secondsPerShuffledWeight = 15e-9
  /// Seconds to draw a spectrum of n values and fit a power law to it, divided by n·√n; measured for n from 384 to 2048.
  static let secondsPerDrawnSpectrum = 4e-8

  /// Seconds to read a component of a stored singular vector, and to measure how localized the vector is.
  static let secondsPerStoredElement = 2e-8

  /// The leading vectors that are sought; nil for singular values alone.
  package var leading: LeadingVectors?
  /// The number of shuffled copies of a matrix that are decomposed too.
  package var replicas = 0
  /// The number of spectra that are drawn to say how well each power law fits.
  package var draws = 0

  /// Whether singular values and vectors are those that a run of `factor` has stored.
  package var isStored = false

  package init(leading: LeadingVectors? = nil, replicas: Int = 0, draws: Int = 0, isStored: Bool = false) {
    self.isStored = isStored
    self.leading = leading
    self.replicas = replicas
    self.draws = draws
  }

  package func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    let core = Double(min(rows, columns))
    let own =
      isStored ? readingStored(core) : Self.decomposition(rows: rows, columns: columns, team: team, leading, at: rates)
    // Members of a team make no shuffled copies. Drawing spectra is the work of one thread.
    let copies = Double(team > 1 ? 0 : replicas)
    let copy = Self.decomposition(rows: rows, columns: columns, team: 1, nil, at: rates)
    let shuffle = core * Double(max(rows, columns)) * Self.secondsPerShuffledWeight
    let drawing = Double(draws) * Self.secondsPerDrawnSpectrum * core * core.squareRoot()
    return MatrixCost(
      basis: own.basis + copies * (copy.basis + shuffle) + drawing,
      operations: own.operations + copies * copy.operations)
  }

  package func bytes(rows: Int, columns: Int, team: Int) -> Double? {
    var solve = storedBytes(rows: rows, columns: columns)
    if !isStored {
      guard let needed = Self.decompositionBytes(rows: rows, columns: columns, team: team, leading) else { return nil }
      solve = needed
    }
    // Shuffled copies are decomposed in any case.
    if isStored, replicas > 0, team == 1 {
      guard let copy = Self.decompositionBytes(rows: rows, columns: columns, team: 1, nil) else { return nil }
      solve = max(solve, copy)
    }
    // A shuffled copy lies in memory; members of a team make none.
    return solve + (replicas > 0 && team == 1 ? 4 * Double(rows) * Double(columns) : 0)
  }

  package func avoidsTeams(order: Int) -> Bool { true }

  package func solverName(order: Int) -> String { isStored ? "factors" : "spectrum" }

  /// The cost of a stored spectrum: some passes over the vectors that are wanted.
  private func readingStored(_ core: Double) -> MatrixCost {
    let vectors = Double(leading.map { min($0.count, Int(core)) } ?? 0)
    return MatrixCost(basis: Self.secondsPerStoredElement * core * (1 + vectors), operations: 0)
  }

  /// The bytes of the stored vectors that are held at once: as they are read, and as they are kept.
  private func storedBytes(rows: Int, columns: Int) -> Double {
    let core = Double(min(rows, columns))
    guard let leading else { return 16 * core }
    let count = Double(min(leading.count, min(rows, columns)))
    // Localization takes the shorter side, the comparison of layers may take either.
    return 16 * count * (leading.sides.isEmpty ? core : Double(max(rows, columns)))
  }

  /// The cost of a spectrum with leading vectors.
  ///
  /// The second way of ``DistSVD/SpectrumSolver`` is left out, since no shape tells whether the Gram matrix resolves all values.
  ///
  /// Reductions to tridiagonal form are charged at the rates of whole eigensystems. Half of a reduction is bound by memory, and so its rate
  /// is about the same.
  package static func decomposition(
    rows: Int, columns: Int, team: Int, _ leading: LeadingVectors?, at rates: MachineRates
  ) -> MatrixCost {
    let order = min(rows, columns)
    let core = Double(order)
    let members = Double(max(team, 1))
    let operations = SpectrumSolver.operations(rows: rows, columns: columns, leading: leading)
    let gram = Double(rows) * Double(columns) * core
    var seconds =
      gram / rates.gram(.f64, order: order)
      + (operations - gram) / rates.eigensolver(.f64, order: order, team: team)
    seconds /= members
    if team > 1 { seconds += 8 * core * core * (members - 1) / members / rates.teams.exchangeBytesPerSecond }
    return MatrixCost(basis: seconds, operations: operations)
  }

  /// Bytes that each of `team` ranks holds while a spectrum with leading vectors is found; nil if so many ranks cannot find it.
  package static func decompositionBytes(
    rows: Int, columns: Int, team: Int, _ leading: LeadingVectors?
  ) -> Double? {
    guard MemoryModel.canDecompose(order: min(rows, columns), team: team) else { return nil }
    return Double(
      SpectrumSolver.bytes(
        rows: rows, columns: columns, leading: leading, members: team, bandElements: MatrixTask.teamBandElements))
  }
}
