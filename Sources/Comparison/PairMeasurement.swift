import Execution
import Spectra
import Weights

/// Measures pairs of matrices for `compare`. Ordinals count pairs.
struct PairMeasurement: MatrixMeasurement {
  let base: MatrixInput
  let tuned: MatrixInput
  let metrics: ComparisonChoice

  func measure(_ task: MatrixTask) throws -> ComparedMatrix {
    let ordinal = task.ordinal
    return try MatrixPair(
      base: task, tuned: MatrixTask(ordinal, of: tuned, team: task.team),
      positions: base.catalog.kernelPositions(of: task.matrix), isSame: isSame(ordinal), metrics: metrics
    ).compare()
  }

  /// Whether both matrices are the same bytes of the same type, as the norms pass has found.
  private func isSame(_ ordinal: Int) -> Bool {
    base.catalog.matrices[ordinal].dtype == tuned.catalog.matrices[ordinal].dtype
      && base.norms.hasSameBlocks(as: tuned.norms, ordinal)
  }
}

extension PairMeasurement {
  typealias Record = RowRecord<ComparedMatrix>
}
