import Calibration
import DistSVD
import Planning

/// The text that tells people what a calibration has found.
struct CalibrationSummary {
  private let found: Calibration.Outcome

  init(_ found: Calibration.Outcome) { self.found = found }

  var text: String {
    let rates = found.rates
    return stages + "\n" + teams
      + """

      reading \(Terminal.bytes(Int(rates.readBytesPerSecond)))/s a node
      exchange \(Terminal.bytes(Int(rates.teams.exchangeBytesPerSecond)))/s a process
      \(rates.teams.origin)

      """
  }

  private var stages: String {
    let rates = found.rates
    let curves = [
      ("score products", rates.scores), ("Gram matrix f64", rates.gramDouble), ("Gram matrix f32", rates.gramSingle),
      ("eigensolver f64", rates.eigensolverDouble), ("eigensolver f32", rates.eigensolverSingle),
    ]
    let orders = rates.scores.points.map { "\($0.order)" }
    let rows = curves.map { name, curve in [name] + curve.points.map { Terminal.decimal($0.perSecond / 1e9, 1) } }
    return Terminal.table(["Gflop/s of one process, order"] + orders, rows, right: Set(1...orders.count))
  }

  /// A table of `p?syevd` on teams beside the local eigensolver, with the shares that the fitted rates give.
  private var teams: String {
    let rows = found.teams.map { measured in
      let fitted = found.rates.teams.efficiency(
        team: measured.team, order: measured.order, precision: measured.precision)
      return [
        "\(measured.team)", "\(measured.precision)", "\(measured.order)",
        Terminal.decimal(measured.perSecond / 1e9, 1), Terminal.decimal(measured.share, 2), Terminal.decimal(fitted, 2),
      ]
    }
    return Terminal.table(
      ["processes of a team", "p?syevd", "order", "Gflop/s each", "share of local", "fitted"], rows,
      right: [0, 2, 3, 4, 5])
  }
}

extension MachineRates.TeamRates {
  /// The words that say where the numbers come from.
  var origin: String {
    guard let largest = measuredRanks.last else { return "teams as built in" }
    guard largest > 1 else { return "teams measured with 1 process, what they send as built in" }
    return "teams measured with \(measuredRanks.map { "\($0)" }.joined(separator: ", ")) processes"
  }
}
