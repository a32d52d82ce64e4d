import DistSVD
import Planning
import Spectra

/// What `compare` does to every pair of matrices: it finds the spectra and leading vectors of both, and what they have in common.
package struct PairWork: MatrixWork, Equatable {
  /// The leading vectors that are sought of either matrix.
  package var leading: LeadingVectors
  /// Whether the difference of the matrices is decomposed too.
  package var ofDifference: Bool

  package init(leading: LeadingVectors, ofDifference: Bool) {
    self.leading = leading
    self.ofDifference = ofDifference
  }

  package func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    let side = SpectrumWork.decomposition(rows: rows, columns: columns, team: team, leading, at: rates)
    let difference = SpectrumWork.decomposition(rows: rows, columns: columns, team: team, nil, at: rates)
    let differences = ofDifference ? 1.0 : 0
    let products = CrossProducts.operations(rows: rows, columns: columns)
    let blocks = CrossProducts.blocks(rows: rows, columns: columns)
    let sharing = min(Double(max(team, 1)), Double(max(1, blocks)))
    return MatrixCost(
      basis: 2 * side.basis + differences * difference.basis
        + products / rates.gram(.f64, order: min(rows, columns)) / sharing,
      operations: 2 * side.operations + differences * difference.operations + products)
  }

  package func bytes(rows: Int, columns: Int, team: Int) -> Double? {
    guard let solve = SpectrumWork.decompositionBytes(rows: rows, columns: columns, team: team, leading) else {
      return nil
    }
    // The base's vectors wait for those of the tuned matrix. Comparing both takes less memory.
    let vectors = 8 * Double(min(leading.count, min(rows, columns))) * (Double(rows) + Double(columns))
    let difference = ofDifference ? 8 * Double(MatrixPair.differenceSlabElements) : 0
    return max(solve + vectors + difference, Double(CrossProducts.bytes(rows: rows, columns: columns)))
  }

  package func avoidsTeams(order: Int) -> Bool { true }

  package func solverName(order: Int) -> String { ofDifference ? "three spectra" : "two spectra" }
}
