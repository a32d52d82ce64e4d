import DistSVD
import Execution
import MPI
import RunCore
import Spectra
import Weights

/// The spectra of a run of `mask`: from its own decompositions, or measured before the scores if what is kept depends on them.
struct MaskAnalysis {
  /// The measured values of all matrices, by ordinal, on every rank.
  let matrices: [AnalyzedMatrix]
  private let roles: MatrixRoles

  /// The spectra that were measured before the scores.
  init(_ spectra: SpectrumOutcome) {
    matrices = spectra.matrices
    roles = spectra.roles
  }

  /// Takes the spectra from the singular values that scoring has left in the journal.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter scored: the matrices of this rank, which were decomposed exactly in double precision.
  init(_ scored: [ScoredMatrix], of catalog: Catalog, over world: Communicator) throws {
    let roles = MatrixRoles(catalog)
    let own = try world.agreeing {
      try scored.map { matrix in
        let values = try RecordReader(matrix.path).read(matrix.record.singularValues, of: Double.self)
        let spectra = MatrixSpectra(
          ofGram: values.map { $0.times(powerOfTwo: matrix.units.weights) }, rescue: matrix.record.rescue)
        return try AnalyzedMatrix(
          catalog.matrices[matrix.ordinal], ordinal: matrix.ordinal, role: roles[catalog.matrices[matrix.ordinal]],
          kernel: nil, spectra, MetricChoice())
      }
    }
    self.roles = roles
    matrices = try AnalyzedMatrix.gather(own, count: catalog.matrices.count, over: world)
  }

  /// The files `details.csv` and `summary.json`, as `analyze` writes them.
  func documents(
    of catalog: Catalog, tensors: TensorParameters, source: CheckpointSource, version: String
  ) throws -> [Publication.TextFile] {
    let details = DetailsTable(matrices).text
    let summary = AnalysisSummary(
      matrices, of: catalog, roles, overlaps: [], version: version,
      parameters: .init(.init(metrics: MetricChoice()), tensors), checkpoint: source, details: details)
    return try AnalysisFiles.documents(details: details, summary: summary)
  }
}
