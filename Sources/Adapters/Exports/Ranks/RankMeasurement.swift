import DistSVD
import Execution
import RunCore
import Spectra
import SpectralQuality
import Weights

/// The rank of a matrix by its singular values.
struct RankMeasurement: MatrixMeasurement {
  let rule: RankRule
  /// The rank that the rule `alpha` multiplies.
  let usual: Int
  let source: TripletSource

  /// Singular values alone are needed of stored factors.
  var readsWeights: Bool { source.factors == nil }

  func measure(_ task: MatrixTask) throws -> RankedMatrix {
    let (values, rescue) = try source.singularValues(of: task)
    let rank = try rule.rank(values, rows: task.matrix.rows, columns: task.matrix.columns, usual: usual)
    return RankedMatrix(ordinal: task.ordinal, rescue: rescue, rank: rank)
  }
}

/// A matrix and the rank that a rule gives it.
struct RankedMatrix: MatrixRow {
  let ordinal: Int
  let rescue: String?
  let rank: Int
}
