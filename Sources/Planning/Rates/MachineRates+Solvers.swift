import DistSVD

extension MachineRates {
  /// The operations a second at which one rank forms a Gram matrix of this order, counted as m·n².
  package func gram(_ precision: Precision, order: Int) -> Double {
    (precision == .f64 ? gramDouble : gramSingle).rate(at: order)
  }

  /// The operations a second of each of `team` ranks that decompose a Gram matrix of this order together. All of them together do 9·n³.
  package func eigensolver(_ precision: Precision, order: Int, team: Int) -> Double {
    let alone = (precision == .f64 ? eigensolverDouble : eigensolverSingle).rate(at: order)
    return team > 1 ? alone * teams.efficiency(team: team, order: order, precision: precision) : alone
  }
}
