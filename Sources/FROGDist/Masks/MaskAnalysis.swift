import Execution
import Spectra
import Weights
import RunCore
import DistSVD
import MPI

/// The spectra of a run of `mask`: of its own decompositions, or measured before where what is kept depends on them.
struct MaskAnalysis {
  /// By ordinal, on every rank.
  let matrices: [AnalyzedMatrix]

  /// Rows that were measured before.
  init(_ matrices: [AnalyzedMatrix]) { self.matrices = matrices }

  /// Takes the singular values that scoring has left in the journal.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter scored: of this rank; exactly, in double.
  init(_ scored: [ScoredMatrix], of catalog: Catalog, over world: Communicator) throws {
    let own = try world.agreeing {
      try scored.map { matrix in
        let values = try RecordReader(matrix.candidates.path).read(matrix.record.singularValues, of: Double.self)
        let spectra = MatrixSpectra(
          ofGram: values.map { $0.times(powerOfTwo: matrix.units.weights) }, rescue: matrix.record.rescue)
        return try AnalyzedMatrix(
          catalog.matrices[matrix.ordinal], ordinal: matrix.ordinal, positions: nil, spectra, MetricChoice())
      }
    }
    matrices = try AnalyzedMatrix.gather(own, count: catalog.matrices.count, over: world)
  }

  /// `details.csv` and `summary.json`, as `analyze` writes them.
  func documents(
    of catalog: Catalog, tensors: TensorParameters, source: CheckpointSource, version: String
  ) throws -> [Publication.TextFile] {
    let details = DetailsTable(matrices).text
    let summary = AnalysisSummary(
      matrices, of: catalog, overlaps: [], version: version,
      parameters: .init(.init(metrics: MetricChoice()), tensors), checkpoint: source, details: details)
    return try AnalysisFiles.documents(details: details, summary: summary)
  }
}
