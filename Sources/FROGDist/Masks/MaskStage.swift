import Execution
import MPI
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

/// Writes the masks of all ranks into shared files, hashes them, and describes them for the record.
struct MaskStage {
  let catalog: Catalog
  let scored: [ScoredMatrix]
  let output: OutputDirectory
  let world: Communicator
  let watch: StopWatch

  /// Writes the masks: rank 0 makes the files at their full size, and every rank writes its matrices at their offsets.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: the files by name, finished and synchronized in the work folder, and what is told of the kept weights of this rank's
  ///   matrices, by ordinal.
  func write(_ layout: MaskLayout) throws -> (files: [String: RecordedFile], kept: [Int: KeptSummary]) {
    // 1. Make the files.
    try world.agreeing {
      guard world.isRoot else { return }
      for file in layout.files {
        let new = try DurableFile(creating: path(of: file), size: file.layout.fileSize)
        try file.layout.header.withUnsafeBytes { try new.write($0, at: 0) }
        try new.synchronize()
      }
    }
    // 2. Write the matrices of this rank.
    let kept = try world.agreeing {
      var kept: [Int: KeptSummary] = [:]
      let writer = MaskWriter(catalog: catalog, layout: layout)
      for (number, matrices) in Dictionary(grouping: scored, by: { layout.file(of: $0.ordinal) }) {
        let file = try DurableFile(openingForUpdate: path(of: layout.files[number]))
        for matrix in matrices {
          try watch.check()
          kept[matrix.ordinal] = try writer.write(matrix, to: file)
        }
        try file.synchronize()
      }
      return kept
    }
    // 3. Hash the files.
    return (try hash(layout), kept)
  }

  /// Hashes the files, of which each rank takes every size-th.
  private func hash(_ layout: MaskLayout) throws -> [String: RecordedFile] {
    let own = stride(from: world.rank, to: layout.files.count, by: world.size)
    let digests: [UInt8] = try world.agreeing {
      try own.flatMap {
        try watch.check()
        return try FileDigest.sha256(of: path(of: layout.files[$0])).bytes
      }
    }
    let all = try world.allGather(digests)
    var files: [String: RecordedFile] = [:]
    for (number, file) in layout.files.enumerated() {
      let start = number / world.size * FileDigest.count
      files[file.name] = RecordedFile(
        bytes: file.layout.fileSize,
        sha256: FileDigest(bytes: Array(all[number % world.size][start..<start + FileDigest.count])).hexadecimal)
    }
    return files
  }

  /// The entries of all matrices for the record, by ordinal.
  ///
  /// Collective: every rank calls it.
  func describe(
    _ layout: MaskLayout, norms: Norms, importance: [Double], kept: [Int: KeptSummary]
  ) throws -> [MaskRecord.Matrix] {
    let roles = MatrixRoles(catalog)
    let reports = try MatrixReport.gather(
      scored.map { MatrixReport($0, kept[$0.ordinal]) }, count: catalog.matrices.count, over: world)
    return zip(catalog.matrices, reports).map { matrix, report in
      let ordinal = report.ordinal
      let (tensors, expert) = layout.place(of: ordinal)
      let kept = tensors.kept[expert]
      let role = roles[matrix]
      return MaskRecord.Matrix(
        name: matrix.name, shape: [matrix.rows, matrix.columns], dtype: matrix.dtype.rawValue,
        tensor: catalog.tensors[matrix.tensor].name, slice: catalog.recordedSlice(of: matrix),
        role: role.name, stack: role.layer?.stack, depth: role.depth, file: layout.files[layout.file(of: ordinal)].name,
        solver: report.solver.label,
        norm: norms.squared[ordinal].squareRoot(), importance: importance[ordinal], kept: kept,
        threshold: kept > 0 ? report.threshold : nil, scoreSum: report.scoreSum,
        selectedScoreSum: report.selectedScoreSum, scoreExponent: report.scoreExponent,
        format: tensors.format.rawValue,
        noiseError: report.noiseError, rankOneShare: report.rankOneShare, concentration: report.concentration)
    }
  }

  private func path(of file: MaskLayout.File) -> FilePath { output.work.appending(file.name) }
}

/// The report on a matrix, from the rank that scored it to all others.
private struct MatrixReport: MatrixRow {
  let ordinal: Int
  let rescue: String?
  let solver: MatrixSolver
  let noiseError: Double
  let rankOneShare: Double
  /// The smallest kept value. It is nil if that is infinite: sampling may keep weights of probability 0 at the very end, and JSON has no
  /// infinity.
  let threshold: Double?
  /// The sums of all scores and of those of the kept weights, in the units of weights; nil if double precision does not hold them.
  let scoreSum: Double?
  let selectedScoreSum: Double?
  let scoreExponent: Int
  let concentration: Concentration?

  init(_ matrix: ScoredMatrix, _ kept: KeptSummary?) {
    ordinal = matrix.ordinal
    rescue = matrix.record.rescue
    solver = matrix.record.solver
    noiseError = matrix.record.relativeError
    rankOneShare = matrix.record.rankOneShare
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    threshold = matrix.threshold.flatMap(finite)
    scoreSum = finite(matrix.record.scoreSum.times(powerOfTwo: matrix.units.panels))
    selectedScoreSum = finite((kept?.scoreSum ?? 0).times(powerOfTwo: matrix.units.stored))
    scoreExponent = matrix.units.stored
    concentration = kept?.concentration
  }
}
