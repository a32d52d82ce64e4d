import Crypto
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// Writes the masks of all ranks into shared files, hashes them, and publishes them.
struct MaskStage {
  let catalog: Catalog
  let scored: [ScoredMatrix]
  let output: OutputDirectory
  let world: Communicator
  let watch: StopWatch

  /// Rank 0 makes the files at their full size; every rank writes its matrices at their offsets.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: the files by name, finished and synchronized in the work folder, and where the kept weights of this rank's
  ///   matrices lie, by ordinal.
  func write(_ layout: MaskLayout) throws -> (files: [String: RunRecord.File], concentrations: [Int: Concentration]) {
    try world.agreeing {
      guard world.isRoot else { return }
      for file in layout.files {
        let new = try DurableFile(creating: path(of: file), size: file.layout.fileSize)
        try file.layout.header.withUnsafeBytes { try new.write($0, at: 0) }
        try new.synchronize()
      }
    }
    let concentrations = try world.agreeing {
      var concentrations: [Int: Concentration] = [:]
      let writer = MaskWriter(catalog: catalog, layout: layout)
      for (number, matrices) in Dictionary(grouping: scored, by: { layout.file(of: $0.ordinal) }) {
        let file = try DurableFile(openingForUpdate: path(of: layout.files[number]))
        for matrix in matrices {
          try watch.check()
          concentrations[matrix.ordinal] = try writer.write(matrix, to: file)
        }
        try file.synchronize()
      }
      return concentrations
    }
    return (try hash(layout), concentrations)
  }

  /// Each rank hashes every size-th file.
  private func hash(_ layout: MaskLayout) throws -> [String: RunRecord.File] {
    let own = stride(from: world.rank, to: layout.files.count, by: world.size)
    let digests: [UInt8] = try world.agreeing {
      try own.flatMap {
        try watch.check()
        return try FileDigest.sha256(of: path(of: layout.files[$0])).bytes
      }
    }
    let all = try world.allGather(digests)
    var files: [String: RunRecord.File] = [:]
    for (number, file) in layout.files.enumerated() {
      let start = number / world.size * FileDigest.count
      files[file.name] = RunRecord.File(
        bytes: file.layout.fileSize,
        sha256: FileDigest(bytes: Array(all[number % world.size][start..<start + FileDigest.count])).hexadecimal)
    }
    return files
  }

  /// What the record says of every matrix, by ordinal.
  ///
  /// Collective: every rank calls it.
  func describe(
    _ layout: MaskLayout, norms: Norms, concentrations: [Int: Concentration]
  ) throws -> [RunRecord.Matrix] {
    let own = scored.flatMap { MatrixReport($0, concentrations[$0.ordinal]).encoded }
    var reports = [MatrixReport?](repeating: nil, count: catalog.matrices.count)
    for numbers in try world.allGather(own) {
      for start in stride(from: 0, to: numbers.count, by: MatrixReport.encodedCount) {
        let report = MatrixReport(encoded: numbers[start..<start + MatrixReport.encodedCount])
        reports[report.ordinal] = report
      }
    }
    let importance = Shares.importance(ofNorms: norms.frobenius)
    return try catalog.matrices.enumerated().map { ordinal, matrix in
      let (tensors, expert) = layout.place(of: ordinal)
      let kept = tensors.kept[expert]
      guard let report = reports[ordinal] else {
        throw RunFailure(.internal, "no rank has scored tensor \(quoted(matrix.name))")
      }
      return RunRecord.Matrix(
        name: matrix.name, shape: [matrix.rows, matrix.columns], dtype: matrix.dtype.rawValue,
        tensor: catalog.tensors[matrix.tensor].name, slice: catalog.recordedSlice(of: matrix),
        file: layout.files[layout.file(of: ordinal)].name, solver: report.solver.label,
        norm: norms.squared[ordinal].squareRoot(), importance: importance[ordinal], kept: kept,
        threshold: kept > 0 ? report.threshold : nil, scoreExponent: report.scoreExponent,
        format: tensors.format.rawValue,
        noiseError: report.noiseError, rankOneShare: report.rankOneShare, concentration: report.concentration)
    }
  }

  /// Finishes what is to be published, and says so.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: what is left to be done, on rank 0.
  func commit(
    _ layout: MaskLayout, record: RunRecord, names: [UInt8]?, tables: [Publication.TextFile],
    statistics: RunStatistics
  ) throws -> Publication? {
    try world.agreeing {
      guard world.isRoot else { return nil }
      let recordText = try Document.encode(record)
      let index = MaskIndex(layout.contents, record: recordText)
      return try Publication.commit(
        files: layout.files.map(\.name),
        documents: (names.map { [.init(name: TransformersNames.fileName, content: $0)] } ?? []) + tables + [
          .init(name: MaskFiles.recordName, content: recordText),
          .init(name: OutputDirectory.runName, content: try Document.encode(statistics)),
          .init(name: MaskFiles.indexName, content: index.text),
        ], in: output)
    }
  }

  private func path(of file: MaskLayout.File) -> FilePath { output.work.appending(file.name) }
}

/// What the rank that scored a matrix knows of it, as numbers that ranks can exchange.
private struct MatrixReport {
  static let encodedCount = 6 + Concentration.encodedCount

  let ordinal: Int
  let noiseError: Double
  let rankOneShare: Double
  /// NaN stands for none on the way.
  let threshold: Double?
  let scoreExponent: Int
  let solver: MatrixSolver
  let concentration: Concentration?

  init(_ matrix: ScoredMatrix, _ concentration: Concentration?) {
    ordinal = matrix.ordinal
    noiseError = matrix.record.relativeError
    rankOneShare = matrix.record.rankOneShare
    // Sampling can keep weights of probability 0, at the very end; JSON has no infinity.
    threshold = matrix.threshold.flatMap { $0.isFinite ? $0 : nil }
    scoreExponent = matrix.units.stored
    solver = matrix.record.solver
    self.concentration = concentration
  }

  /// Ordinals and exponents are exact in a Double.
  var encoded: [Double] {
    [Double(ordinal), noiseError, rankOneShare, threshold ?? .nan, Double(scoreExponent), Double(solver.code)]
      + Concentration.encode(concentration)
  }

  init(encoded numbers: ArraySlice<Double>) {
    let values = Array(numbers)
    ordinal = Int(values[0])
    noiseError = values[1]
    rankOneShare = values[2]
    threshold = values[3].isNaN ? nil : values[3]
    scoreExponent = Int(values[4])
    solver = MatrixSolver(code: Int(values[5]))
    concentration = Concentration.decode(values[6...])
  }
}

/// The SHA-256 of a file.
struct FileDigest {
  static let count = 32
  let bytes: [UInt8]

  var hexadecimal: String { bytes.hexadecimal }

  static func sha256(of path: FilePath) throws -> FileDigest {
    let source = try SourceKind.pread.open(path)
    var scratch = ScratchBytes()
    var hash = SHA256()
    for start in stride(from: 0, to: source.size, by: 1 << 20) {
      try source.withBytes(in: start..<min(source.size, start + 1 << 20), scratch: &scratch) {
        hash.update(bufferPointer: $0)
      }
    }
    return FileDigest(bytes: Array(hash.finalize()))
  }
}

extension Sequence<UInt8> {
  /// As lower-case hexadecimal digits.
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
