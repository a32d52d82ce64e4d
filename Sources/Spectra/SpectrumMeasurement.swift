import DistSVD
import Execution
import FactorCache
import RunCore
import Weights

/// The spectrum of a matrix, as `analyze` measures it.
struct SpectrumMeasurement: MatrixMeasurement {
  let catalog: Catalog
  let roles: MatrixRoles
  let metrics: MetricChoice
  /// The stored factors of the matrices; nil to decompose them.
  let factors: FactorFolder?

  /// Only shuffled copies are made of the weights if there are factors.
  var readsWeights: Bool { factors == nil || metrics.randomize }

  func measure(_ task: MatrixTask) throws -> MatrixSpectra {
    let side = metrics.side(of: task.matrix, in: catalog, roles)
    guard let factors else {
      return try MatrixSpectra(task, positions: catalog.kernelPositions(of: task.matrix), side: side, metrics)
    }
    return try task.locally {
      let stored = try factors.factors(
        of: task.ordinal, squaredNorm: task.squaredNorm.times(powerOfTwo: 2 * task.exponent))
      defer { factors.release(task.ordinal) }
      return try MatrixSpectra(stored, of: task, side: side, metrics)
    }
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
  ///
  /// - Parameter factors: the stored factors of the matrices, all triplets of each; nil to decompose them.
  package func spectra(_ metrics: MetricChoice, of factors: FactorFolder?) throws -> SpectrumOutcome {
    let catalog = inputs[0].catalog
    let roles = MatrixRoles(catalog)
    let outcome = try MatrixStage(
      "spectra", of: SpectrumMeasurement(catalog: catalog, roles: roles, metrics: metrics, factors: factors),
      over: [inputs[0]]
    ).run(metrics.work(isStored: factors != nil), in: self)
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
