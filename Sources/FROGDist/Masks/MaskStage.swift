import Crypto
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// Writes the masks of all ranks into shared files, hashes them, and publishes them.
struct MaskStage {
  let catalog: Catalog
  let scored: [ScoredMatrix]
  let spill: CandidateSpill
  let output: OutputDirectory
  let world: Communicator

  /// Rank 0 makes the files at their full size; every rank writes its matrices at their offsets.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: the files by name, finished and synchronized in the work folder.
  func write(_ layout: MaskLayout) throws -> [String: RunRecord.File] {
    try world.agreeing {
      guard world.isRoot else { return }
      for file in layout.files {
        let new = try DurableFile(creating: path(of: file), size: file.layout.fileSize)
        try file.layout.header.withUnsafeBytes { try new.write($0, at: 0) }
        try new.synchronize()
      }
    }
    try world.agreeing {
      let writer = MaskWriter(layout: layout, spill: spill)
      for (number, matrices) in Dictionary(grouping: scored, by: { layout.file(of: $0.ordinal) }) {
        let file = try DurableFile(openingForUpdate: path(of: layout.files[number]))
        for matrix in matrices { try writer.write(matrix, to: file) }
        try file.synchronize()
      }
    }
    return try hash(layout)
  }

  /// Each rank hashes every size-th file.
  private func hash(_ layout: MaskLayout) throws -> [String: RunRecord.File] {
    let own = stride(from: world.rank, to: layout.files.count, by: world.size)
    let digests: [UInt8] = try world.agreeing {
      try own.flatMap { try FileDigest.sha256(of: path(of: layout.files[$0])).bytes }
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
  func describe(_ layout: MaskLayout, norms: Norms) throws -> [RunRecord.Matrix] {
    // Ordinal, noise error and threshold (-1 for none), three numbers a matrix; ordinals are exact in a Double.
    let own: [Double] = scored.flatMap { matrix -> [Double] in
      [Double(matrix.ordinal), matrix.noiseError, Double(matrix.cut.threshold ?? -1)]
    }
    var found = [(error: Double, threshold: Double)](repeating: (0, -1), count: catalog.matrices.count)
    for values in try world.allGather(own) {
      for start in stride(from: 0, to: values.count, by: 3) {
        found[Int(values[start])] = (values[start + 1], values[start + 2])
      }
    }
    let importance = Shares.importance(ofNorms: norms.frobenius)
    return catalog.matrices.enumerated().map { ordinal, matrix in
      let tensors = layout.tensors[ordinal]
      let hasThreshold = tensors.kept > 0 && found[ordinal].threshold >= 0
      return RunRecord.Matrix(
        name: matrix.name, shape: [matrix.rows, matrix.columns], dtype: matrix.dtype.rawValue,
        file: layout.files[layout.file(of: ordinal)].name, norm: norms.squared[ordinal].squareRoot(),
        importance: importance[ordinal], kept: tensors.kept,
        threshold: hasThreshold ? found[ordinal].threshold : nil, format: tensors.format.rawValue,
        noiseError: found[ordinal].error)
    }
  }

  /// Collective: every rank calls it; rank 0 renames.
  func publish(_ layout: MaskLayout, record: RunRecord, statistics: RunStatistics) throws {
    try world.agreeing {
      guard world.isRoot else { return }
      let recordText = try Document.encode(record)
      let index = MaskIndex(layout.contents, record: recordText)
      try output.publish(
        layout.files.map(\.name),
        documents: [
          (OutputDirectory.recordName, recordText),
          (OutputDirectory.runName, try Document.encode(statistics)),
          (OutputDirectory.indexName, index.text),
        ])
    }
  }

  private func path(of file: MaskLayout.File) -> FilePath { output.work.appending(file.name) }
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
