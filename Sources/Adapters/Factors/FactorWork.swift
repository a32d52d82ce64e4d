import DistSVD
import Execution
import Planning

/// What `factor` does to every matrix.
package struct FactorWork: MatrixWork {
  /// The triplets that are wanted.
  package let triplets: Triplets

  package init(_ triplets: Triplets) { self.triplets = triplets }

  package func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    let order = min(rows, columns)
    let members = Double(max(team, 1))
    let operations = ThinSVD.operations(rows: rows, columns: columns, triplets)
    let products = rates.gram(.f64, order: order)
    let errors = 2 * Double(ThinSVD.probes) * Double(rows) * Double(columns)
    var seconds =
      operations.products / products / members
      + operations.eigenvectors / rates.eigensolver(.f64, order: order, team: team) / members
    seconds += errors / products
    if team > 1 {
      // The Gram matrix, its vectors and their images travel.
      let (core, stream) = (Double(order), Double(max(rows, columns)))
      let count = Double(triplets.positions(order: order).count)
      seconds += 8 * (core * core + (core + stream) * count) / rates.teams.exchangeBytesPerSecond
    }
    return MatrixCost(basis: seconds, operations: operations.total + errors)
  }

  package func bytes(rows: Int, columns: Int, team: Int) -> Double? {
    guard MemoryModel.canDecompose(order: min(rows, columns), team: team) else { return nil }
    return ThinSVD.bytes(
      rows: rows, columns: columns, triplets, members: team, bandElements: MatrixTask.teamBandElements)
  }

  package func avoidsTeams(order: Int) -> Bool { true }

  package func solverName(order: Int) -> String { "svd" }
}
