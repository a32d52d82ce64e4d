import DistSVD
import Execution
import FactorCache
import MPI
import RunCore
import Spectra
import SystemPackage
import Weights

/// The spectra of a run of `mask`: from its own decompositions, or measured before the scores if what is kept depends on them.
struct MaskAnalysis {
  /// The measured values of all matrices, by ordinal, on every rank.
  let matrices: [AnalyzedMatrix]
  private let roles: MatrixRoles
  /// Where the singular values lie.
  private let source: Source

  private enum Source {
    /// The journal of the stage that has measured the spectra.
    case measured(SpectrumOutcome)
    /// The records of the matrices that this rank has scored.
    case scored([ScoredMatrix])
  }

  /// The spectra that were measured before the scores.
  init(_ spectra: SpectrumOutcome) {
    matrices = spectra.matrices
    roles = spectra.roles
    source = .measured(spectra)
  }

  /// Takes the spectra from the singular values that scoring has left in the journal.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter scored: the matrices of this rank, which were decomposed exactly in double precision, or whose factors are stored in full.
  init(_ scored: [ScoredMatrix], of catalog: Catalog, over world: Communicator) throws {
    let roles = MatrixRoles(catalog)
    let own = try world.agreeing {
      try scored.map { matrix in
        let spectra = MatrixSpectra(ofGram: try matrix.singularValues(), rescue: matrix.record.rescue)
        return try AnalyzedMatrix(
          catalog.matrices[matrix.ordinal], ordinal: matrix.ordinal, role: roles[catalog.matrices[matrix.ordinal]],
          kernel: nil, spectra, MetricChoice())
      }
    }
    self.roles = roles
    source = .scored(scored)
    matrices = try AnalyzedMatrix.gather(own, count: catalog.matrices.count, over: world)
  }

  /// Writes equal copies of `spectra.safetensors`.
  ///
  /// Collective: every rank calls it.
  func write(_ copies: [FilePath], of catalog: Catalog, in context: RunContext) throws -> RecordedFile {
    switch source {
    case .measured(let spectra): return try spectra.write(copies, of: catalog, in: context)
    case .scored(let scored):
      let paths = Dictionary(uniqueKeysWithValues: scored.map { ($0.ordinal, $0) })
      let file = try SpectraFile(counts: catalog.matrices.map(\.order), in: context)
      return try file.write(copies, of: scored.map(\.ordinal)) { try paths[$0]?.singularValues() ?? [] }
    }
  }

  /// The files `details.csv` and `summary.json`, as `analyze` writes them.
  ///
  /// - Parameters:
  ///   - factors: the stored factors that singular values came from; nil if matrices were decomposed.
  ///   - spectra: the size and digest of `spectra.safetensors`.
  func documents(
    of catalog: Catalog, factors: FactorSource?, tensors: TensorParameters, source: CheckpointSource, version: String,
    spectra: RecordedFile
  ) throws -> [Publication.TextFile] {
    let details = DetailsTable(matrices).text
    let summary = AnalysisSummary(
      matrices, of: catalog, roles, overlaps: [], version: version,
      parameters: .init(.init(metrics: MetricChoice(), factors: factors), tensors), checkpoint: source,
      details: details, spectra: spectra
    )
    return try AnalysisFiles.documents(details: details, summary: summary)
  }
}

extension ScoredMatrix {
  /// The singular values that scoring has found, in the units of the weights.
  fileprivate func singularValues() throws -> [Double] {
    try RecordReader(path).read(record.singularValues, of: Double.self).map { $0.times(powerOfTwo: units.weights) }
  }
}
