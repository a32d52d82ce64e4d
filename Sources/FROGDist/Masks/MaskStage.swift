import Execution
import MPI
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

/// Writes the masks of all targets into shared files, hashes them, and describes them for the records.
struct MaskStage {
  let catalog: Catalog
  let scored: [ScoredMatrix]
  let targets: [PlacedTarget]
  let output: OutputDirectory
  let world: Communicator
  let watch: StopWatch

  /// What has been written of one target.
  struct Written {
    /// The mask files by name, finished and synchronized in the work folder.
    let files: [String: RecordedFile]
    /// What is told of the kept weights of this rank's matrices, by ordinal.
    let kept: [Int: KeptSummary]
  }

  /// Writes the masks: rank 0 makes the files at their full size, and every rank writes its matrices at their offsets.
  ///
  /// The candidates of a matrix are read once for all targets of a ranking.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - layouts: the layout of each target.
  ///   - progress: called with the share of this rank's matrices that are written, from 0 to 1.
  func write(_ layouts: [MaskLayout], progress: (Double) -> Void) throws -> [Written] {
    // 1. Make the files.
    try world.agreeing {
      guard world.isRoot else { return }
      for (target, layout) in zip(targets, layouts) {
        for file in layout.files {
          let new = try DurableFile(creating: path(of: file, target), size: file.layout.fileSize)
          try file.layout.header.withUnsafeBytes { try new.write($0, at: 0) }
          try new.synchronize()
        }
      }
    }
    // 2. Write the matrices of this rank.
    let kept = try world.agreeing {
      var kept = targets.map { _ in [Int: KeptSummary]() }
      // Every layout has the same matrices in its files, those of one shard of the checkpoint.
      let byFile = Dictionary(grouping: scored) { layouts[0].file(of: $0.ordinal) }
      var done = 0
      for (number, matrices) in byFile {
        let files = try zip(targets, layouts).map { target, layout in
          SharedFile(try DurableFile(openingForUpdate: path(of: layout.files[number], target)))
        }
        for matrix in matrices {
          try watch.check()
          for (target, summary) in try write(matrix, layouts, to: files).enumerated() {
            kept[target][matrix.ordinal] = summary
          }
          done += 1
          progress(Double(done) / Double(scored.count))
        }
        for file in files { try file.file.synchronize() }
      }
      return kept
    }
    // 3. Hash the files.
    return try zip(hash(layouts), kept).map { Written(files: $0, kept: $1) }
  }

  /// Writes one matrix to the files of all targets.
  ///
  /// - Returns: what is told of the kept weights, by target.
  private func write(_ matrix: ScoredMatrix, _ layouts: [MaskLayout], to files: [SharedFile]) throws -> [KeptSummary] {
    let slice = catalog.matrices[matrix.ordinal].slice
    let masks = try zip(layouts, files).map {
      try MatrixMask(matrix.ordinal, slice: slice, layout: $0, file: $1)
    }
    for (number, ranking) in matrix.rankings.enumerated() {
      let members = targets.indices.filter { targets[$0].ranking == number }
      let cuts = members.map { ranking.cuts[targets[$0].position] }
      try ranking.candidates.forEachPiece(by: cuts) { try masks[members[$0]].add($1) }
    }
    let noise = try RecordReader(matrix.path).read(matrix.record.noise, of: Float.self)
    return try masks.map { try $0.finish(noise: noise) }
  }

  /// Hashes the files of all targets, of which each rank takes every size-th.
  ///
  /// - Returns: the files by name, by target.
  private func hash(_ layouts: [MaskLayout]) throws -> [[String: RecordedFile]] {
    let all = layouts.indices.flatMap { target in layouts[target].files.map { (target: target, file: $0) } }
    let digests: [UInt8] = try world.agreeing {
      try stride(from: world.rank, to: all.count, by: world.size).flatMap {
        try watch.check()
        return try FileDigest.sha256(of: path(of: all[$0].file, targets[all[$0].target])).bytes
      }
    }
    let byRank = try world.allGather(digests)
    var files = layouts.map { _ in [String: RecordedFile]() }
    for (number, (target, file)) in all.enumerated() {
      let start = number / world.size * FileDigest.count
      let digest = Array(byRank[number % world.size][start..<start + FileDigest.count])
      files[target][file.name] = RecordedFile(
        bytes: file.layout.fileSize, sha256: FileDigest(bytes: digest).hexadecimal)
    }
    return files
  }

  /// The entries of all matrices for the record of a target, by ordinal.
  ///
  /// Collective: every rank calls it.
  func describe(
    _ target: PlacedTarget, _ layout: MaskLayout, norms: Norms, importance: [Double], kept: [Int: KeptSummary],
    roles: MatrixRoles
  ) throws -> [MaskRecord.Matrix] {
    let reports = try MatrixReport.gather(
      scored.map { MatrixReport($0, target, kept[$0.ordinal]) }, count: catalog.matrices.count, over: world)
    return zip(catalog.matrices, reports).map { matrix, report in
      let ordinal = report.ordinal
      let (tensors, expert) = layout.place(of: ordinal)
      let kept = tensors.kept[expert]
      let role = roles[matrix]
      return MaskRecord.Matrix(
        name: matrix.name, shape: [matrix.rows, matrix.columns], dtype: matrix.dtype.rawValue,
        tensor: catalog.tensors[matrix.tensor].name, slice: catalog.recordedSlice(of: matrix),
        role: role.name, stack: role.layer?.stack, depth: role.depth,
        file: layout.files[layout.file(of: ordinal)].name, solver: report.solver.label,
        norm: norms.squared[ordinal].squareRoot(), importance: importance[ordinal], kept: kept,
        threshold: kept > 0 ? report.threshold : nil, scoreSum: report.scoreSum,
        selectedScoreSum: report.selectedScoreSum, scoreExponent: report.scoreExponent,
        format: tensors.format.rawValue,
        noiseError: report.noiseError, rankOneShare: report.rankOneShare, concentration: report.concentration)
    }
  }

  private func path(of file: MaskLayout.File, _ target: PlacedTarget) -> FilePath {
    output.work.appending(target.file(file.name).work)
  }
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

  init(_ matrix: ScoredMatrix, _ target: PlacedTarget, _ kept: KeptSummary?) {
    ordinal = matrix.ordinal
    rescue = matrix.record.rescue
    solver = matrix.record.solver
    noiseError = matrix.record.relativeError
    rankOneShare = matrix.record.rankOneShare
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    threshold = matrix.rankings[target.ranking].threshold(of: target.position).flatMap(finite)
    scoreSum = finite(matrix.record.scoreSum.times(powerOfTwo: matrix.units.stored))
    selectedScoreSum = finite((kept?.scoreSum ?? 0).times(powerOfTwo: matrix.units.stored))
    scoreExponent = matrix.units.stored
    concentration = kept?.concentration
  }
}
