import DistSVD
import Planning

/// A measurement of how fast `p?syevd` is on a team.
package struct TeamMeasurement: Sendable, Equatable {
  /// The number of members of the team, t.
  package let team: Int
  /// The order n of the matrix.
  package let order: Int
  /// The precision of the matrix.
  package let precision: Precision
  /// The operations per second of each member, which does 9·n³/t operations.
  package let perSecond: Double
  /// The rate of a member as a share of the local eigensolver's rate, at the same order and under the same conditions.
  package let share: Double

  package init(team: Int, order: Int, precision: Precision, perSecond: Double, share: Double) {
    self.team = team
    self.order = order
    self.precision = precision
    self.perSecond = perSecond
    self.share = share
  }
}

extension MachineRates.TeamRates {
  /// The largest spread that is considered. No network loses as much, and a larger spread cannot be told from noise.
  private static let largestSpread = 1e5

  /// The rates that come closest to what was measured, in the sum of squared relative errors.
  ///
  /// For a given spread s, the relative rate of a precision is the mean of share·(1 + s·(√t − 1)/n).
  ///
  /// What was not measured keeps its built-in number: the spread, if no team had two ranks, and the relative rate of a precision that is
  /// missing.
  ///
  /// - Parameters:
  ///   - exchange: the bytes per second that ranks exchange; nil if that was not measured.
  package init(fittedTo measurements: [TeamMeasurement], exchange: Double?) {
    self = .standard
    let precisions = Precision.allCases.map { precision in measurements.filter { $0.precision == precision } }
    measuredRanks = Set(measurements.map(\.team)).sorted()
    if measuredRanks.contains(where: { $0 > 1 }) {
      spread = Self.leastSquares { spread in precisions.reduce(0) { $0 + Self.error($1, spread: spread) } }
    }
    for measured in precisions where !measured.isEmpty {
      let relative = min(10, max(0.002, Self.mean(Self.relatives(measured, spread: spread))))
      if measured[0].precision == .f64 { relativeDouble = relative } else { relativeSingle = relative }
    }
    if let exchange { exchangeBytesPerSecond = max(1, exchange) }
  }

  /// The relative rate that each measurement stands for, at a given spread.
  private static func relatives(_ measured: [TeamMeasurement], spread: Double) -> [Double] {
    measured.map { $0.share * (1 + spread * distance(team: $0.team, order: $0.order)) }
  }

  private static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }

  /// The sum of squared relative errors: Σ (relative/mean − 1)².
  private static func error(_ measured: [TeamMeasurement], spread: Double) -> Double {
    let values = relatives(measured, spread: spread)
    let mean = mean(values)
    return values.reduce(0) { $0 + ($1 / mean - 1) * ($1 / mean - 1) }
  }

  /// The spread between 0 and ``largestSpread`` at which `error` is least. The best point of a geometric grid is refined by a ternary
  /// search.
  private static func leastSquares(_ error: (Double) -> Double) -> Double {
    var grid = [0.0]
    var next = 1.0
    while next < largestSpread {
      grid.append(next)
      next *= 1.25
    }
    grid.append(largestSpread)
    let best = grid.indices.min { error(grid[$0]) < error(grid[$1]) } ?? 0
    var (low, high) = (grid[max(0, best - 1)], grid[min(grid.count - 1, best + 1)])
    for _ in 0..<60 {
      let third = (high - low) / 3
      if error(low + third) <= error(high - third) { high -= third } else { low += third }
    }
    return low
  }
}
