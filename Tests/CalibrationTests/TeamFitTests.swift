import DistSVD
import Testing

@testable import Calibration
@testable import Planning
@testable import RunCore

@Suite("Fit of team rates")
struct TeamFitTests {
  typealias TeamRates = MachineRates.TeamRates

  /// What a machine of these rates would measure, the k-th number off by the k-th of `errors`, in turn.
  static func measured(_ rates: TeamRates, teams: [Int], errors: [Double] = [0]) -> [TeamMeasurement] {
    var number = 0
    return teams.flatMap { team in
      [1024, 2048].flatMap { order in
        Precision.allCases.map { precision in
          let error = errors[number % errors.count]
          number += 1
          let share = rates.efficiency(team: team, order: order, precision: precision) * (1 + error)
          return TeamMeasurement(team: team, order: order, precision: precision, perSecond: share * 5e10, share: share)
        }
      }
    }
  }

  @Test(
    "finds the rates that measurements come from",
    arguments: [(0.71, 0.77, 450.0), (1.2, 0.4, 20), (0.5, 0.5, 0), (0.3, 0.9, 7000)])
  func exact(double: Double, single: Double, spread: Double) {
    var truth = TeamRates.standard
    (truth.relativeDouble, truth.relativeSingle, truth.spread) = (double, single, spread)
    for teams in [[1, 2], [1, 2, 64]] {
      let found = TeamRates(fittedTo: Self.measured(truth, teams: teams), exchange: 3e9)
      #expect(abs(found.relativeDouble / double - 1) < 1e-5 && abs(found.relativeSingle / single - 1) < 1e-5)
      #expect(abs(found.spread - spread) < 1e-4 * max(spread, 1))
      #expect(found.exchangeBytesPerSecond == 3e9 && found.measuredRanks == teams && found.isSensible)
    }
  }

  @Test("keeps efficiencies within the errors of the measurements")
  func noisy() {
    let measured = Self.measured(.standard, teams: [1, 2, 16], errors: [0.03, -0.03, -0.02, 0.02, 0.01])
    let found = TeamRates(fittedTo: measured, exchange: nil)
    for point in measured {
      let fitted = found.efficiency(team: point.team, order: point.order, precision: point.precision)
      #expect(abs(fitted / point.share - 1) < 0.06, "\(point)")
    }
  }

  @Test("leaves built in what one rank alone cannot measure")
  func alone() {
    var truth = TeamRates.standard
    (truth.relativeDouble, truth.relativeSingle) = (0.6, 0.9)
    let found = TeamRates(fittedTo: Self.measured(truth, teams: [1]), exchange: nil)
    #expect(abs(found.relativeDouble - 0.6) < 1e-9 && abs(found.relativeSingle - 0.9) < 1e-9)
    #expect(found.spread == TeamRates.standard.spread && found.measuredRanks == [1])
    #expect(found.exchangeBytesPerSecond == TeamRates.standard.exchangeBytesPerSecond)
  }

  @Test("is sensible whatever was measured")
  func hostile() {
    for share in [0, 1e-30, 1e30] {
      let measured = [1, 2].map {
        TeamMeasurement(team: $0, order: 1024, precision: .f64, perSecond: 1, share: share * Double($0))
      }
      #expect(TeamRates(fittedTo: measured, exchange: 0).isSensible)
    }
    #expect(TeamRates(fittedTo: [], exchange: nil) == .standard)
  }
}
