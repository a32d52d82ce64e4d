import DistSVD

extension MachineRates {
  /// Operations a second of Gram matrices, m·n² of them, at an order.
  package func gram(_ precision: Precision, order: Int) -> Double {
    (precision == .f64 ? gramDouble : gramSingle).rate(at: order)
  }

  /// Operations a second of each of `team` ranks that decompose a matrix together, counted as 9·n³ of all of them.
  package func eigensolver(_ precision: Precision, order: Int, team: Int) -> Double {
    let alone = (precision == .f64 ? eigensolverDouble : eigensolverSingle).rate(at: order)
    return team > 1 ? alone * teams.efficiency(team: team, order: order, precision: precision) : alone
  }
}
