import DistSVD
import Execution
import Planning

/// What `export` does to every matrix.
package struct ExportWork: MatrixWork {
  /// The different triplets that are wanted of a matrix.
  let triplets: [Triplets]
  /// The largest rank of a part that is taken out of the weights; 0 if none is.
  let takenRank: Int

  /// The work of methods with these ranks.
  ///
  /// - Parameter rank: the largest rank of a method among all matrices; nil for as many as there are.
  init(_ choice: ExportChoice, rank: (ExportMethod) -> Int?) {
    var triplets: [Triplets] = []
    for method in choice.methods {
      let wanted = method.triplets(rank: method.usualRank == nil ? nil : rank(method))
      if !triplets.contains(wanted) { triplets.append(wanted) }
    }
    self.triplets = triplets
    takenRank = choice.bases.map { rank($0) ?? .max }.max() ?? 0
  }

  package func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    var (basis, operations) = (0.0, 0.0)
    for triplets in triplets {
      let cost = FactorWork(triplets).cost(rows: rows, columns: columns, team: team, at: rates)
      basis += cost.basis
      operations += cost.operations
    }
    let subtraction = 2 * Double(rows) * Double(columns) * Double(min(takenRank, rows, columns))
    basis += subtraction / rates.gram(.f64, order: min(rows, columns))
    return MatrixCost(basis: basis, operations: operations + subtraction)
  }

  package func bytes(rows: Int, columns: Int, team: Int) -> Double? {
    let bytes = triplets.map { FactorWork($0).bytes(rows: rows, columns: columns, team: team) }
    guard !bytes.contains(nil) else { return nil }
    // Both factors of what is taken out, and a panel of weights, beside the triplets.
    let rank = Double(min(takenRank, rows, columns))
    let taken = takenRank > 0 ? 8 * rank * Double(rows + columns) + 8 * Double(PanelShape.scoreElements) : 0
    return bytes.compactMap { $0 }.reduce(0, max) + taken
  }

  package func avoidsTeams(order: Int) -> Bool { true }

  package func solverName(order: Int) -> String { "svd" }
}
