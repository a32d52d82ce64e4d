import DistSVD
import Execution
import Planning

/// What `export` does to every matrix.
package struct ExportWork: MatrixWork {
  /// The different triplets that are wanted of a matrix.
  let triplets: [Triplets]
  /// The largest rank of a part that is taken out of the weights; 0 if none is.
  let takenRank: Int
  /// Whether triplets are read from stored factors.
  private let isStored: Bool

  /// The work of methods with these ranks.
  ///
  /// - Parameter rank: the largest rank of a method among all matrices; nil for as many as there are.
  init(_ choice: ExportChoice, isStored: Bool, rank: (ExportMethod) -> Int?) {
    self.isStored = isStored
    var triplets: [Triplets] = []
    for method in choice.methods where choice.needsTriplets(method) {
      let wanted = rank(method).map(method.triplets) ?? .all
      if !triplets.contains(wanted) { triplets.append(wanted) }
    }
    self.triplets = triplets
    takenRank = choice.bases.map { rank($0) ?? .max }.max() ?? 0
  }

  /// The work of an export of these targets; with any rank if ranks are not known.
  init(_ choice: ExportChoice, _ ranks: ExportRanks?, _ plan: ExportPlan, isStored: Bool) {
    self.init(choice, isStored: isStored) { method in
      guard let ranks, let number = choice.methods.firstIndex(of: method) else { return nil }
      return plan.targets.indices.map { ranks[number, $0] }.max()
    }
  }

  package func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    var (basis, operations) = (0.0, 0.0)
    for triplets in isStored ? [] : triplets {
      let cost = FactorWork(triplets).cost(rows: rows, columns: columns, team: team, at: rates)
      basis += cost.basis
      operations += cost.operations
    }
    // All choices share the Gram matrix and its reduction, which is what a choice of no triplets costs.
    let shared = FactorWork(.leading(0)).cost(rows: rows, columns: columns, team: team, at: rates)
    basis -= Double(isStored ? 0 : max(triplets.count - 1, 0)) * shared.basis
    operations -= Double(isStored ? 0 : max(triplets.count - 1, 0)) * shared.operations
    let subtraction = 2 * Double(rows) * Double(columns) * Double(min(takenRank, rows, columns))
    basis += subtraction / rates.gram(.f64, order: min(rows, columns))
    return MatrixCost(basis: basis, operations: operations + subtraction)
  }

  package func bytes(rows: Int, columns: Int, team: Int) -> Double? {
    guard !isStored else {
      let most = triplets.map { $0.positions(order: min(rows, columns)).count }.max() ?? 0
      return taken(rows: rows, columns: columns) + 4 * Double(most) * Double(rows + columns)
        + 8 * Double(PanelShape.scoreElements)
    }
    let bytes = triplets.map { FactorWork($0).bytes(rows: rows, columns: columns, team: team) }
    guard !bytes.contains(nil) else { return nil }
    // The reduced Gram matrix stays while several choices of triplets are made.
    let order = Double(min(rows, columns))
    let reduced = triplets.count > 1 ? 8 * order * order / Double(max(team, 1)) : 0
    return bytes.compactMap { $0 }.reduce(0, max) + taken(rows: rows, columns: columns) + reduced
  }

  /// The bytes of both factors of what is taken out, and of a panel of weights.
  private func taken(rows: Int, columns: Int) -> Double {
    let rank = Double(min(takenRank, rows, columns))
    return takenRank > 0 ? 8 * rank * Double(rows + columns) + 8 * Double(PanelShape.scoreElements) : 0
  }

  package func avoidsTeams(order: Int) -> Bool { true }

  package func solverName(order: Int) -> String { isStored ? "factors" : "svd" }
}
