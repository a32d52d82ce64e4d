import DistSVD
import Execution
import RunCore
import Weights

/// The spectrum of a matrix, as `analyze` measures it.
struct SpectrumMeasurement: MatrixMeasurement {
  let catalog: Catalog
  let roles: MatrixRoles
  let metrics: MetricChoice

  func measure(_ task: MatrixTask) throws -> MatrixSpectra {
    try MatrixSpectra(
      task, positions: catalog.kernelPositions(of: task.matrix),
      side: metrics.side(of: task.matrix, in: catalog, roles),
      metrics)
  }

  func record(_ spectra: MatrixSpectra, in writer: RecordWriter) throws -> SpectrumRecord {
    try SpectrumRecord(
      rescue: spectra.rescue, resolution: spectra.resolution,
      singularValues: spectra.singularValues.map { try writer.section($0) },
      replicas: spectra.replicas.map { try $0.map { try writer.section($0) } },
      vectors: spectra.vectors.map { try writer.section($0) },
      leading: spectra.leading.map { try writer.section($0) })
  }

  func row(_ spectra: MatrixSpectra, of task: MatrixTask) throws -> AnalyzedMatrix {
    try row(of: task.ordinal, spectra)
  }

  func row(_ record: SpectrumRecord, of ordinal: Int, from reader: RecordReader) throws -> AnalyzedMatrix {
    let spectra = try MatrixSpectra(record, from: reader)
    if let leading = record.leading { _ = try reader.read(leading, of: Double.self) }
    return try row(of: ordinal, spectra)
  }

  private func row(of ordinal: Int, _ spectra: MatrixSpectra) throws -> AnalyzedMatrix {
    let matrix = catalog.matrices[ordinal]
    return try AnalyzedMatrix(
      matrix, ordinal: ordinal, role: roles[matrix], kernel: catalog.kernel(of: matrix), spectra, metrics)
  }
}

extension BegunRun {
  /// The spectra of all matrices of the first checkpoint. Those that an earlier process has measured come from the journal.
  ///
  /// Collective: every rank calls it.
  package func spectra(_ metrics: MetricChoice) throws -> SpectrumOutcome {
    let catalog = inputs[0].catalog
    let roles = MatrixRoles(catalog)
    let outcome = try MatrixStage(
      "spectra", of: SpectrumMeasurement(catalog: catalog, roles: roles, metrics: metrics), over: [inputs[0]]
    ).run(metrics.work, in: self)
    return SpectrumOutcome(matrices: outcome.rows, roles: roles, journal: outcome.journal, totals: outcome.totals)
  }
}

/// The spectra of all matrices, the same on every rank but for what this rank wrote.
package struct SpectrumOutcome {
  /// The measured values of all matrices, by ordinal.
  package let matrices: [AnalyzedMatrix]
  /// The roles of all matrices.
  package let roles: MatrixRoles
  /// The journal that holds singular values and vectors.
  let journal: Journal
  /// What the stage has written, resumed and rescued.
  package let totals: StageTotals
}

extension MatrixSpectra {
  /// Reads the spectra in a record. Leading vectors stay in the file.
  ///
  /// - Throws: ``RunFailure`` if the record is damaged.
  fileprivate init(_ record: SpectrumRecord, from reader: RecordReader) throws {
    func read(_ sections: [RecordSection]) throws -> [[Double]] {
      try sections.map { try reader.read($0, of: Double.self) }
    }
    guard !record.singularValues.isEmpty, record.vectors.map({ $0.count(of: Double.self) % 4 == 0 }) ?? true else {
      throw reader.damage
    }
    singularValues = try read(record.singularValues)
    replicas = try record.replicas.map(read)
    vectors = try record.vectors.map { try reader.read($0, of: Double.self) }
    leading = nil
    resolution = record.resolution
    rescue = record.rescue
  }
}
