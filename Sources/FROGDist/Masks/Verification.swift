import MPI
import ShardIO
import SystemPackage

/// Checks an output directory against itself, and, if asked, against its checkpoint.
public struct Verification {
  let world: Communicator
  let path: FilePath

  /// - Parameter path: of the output directory.
  public init(_ path: FilePath, on world: Communicator) {
    self.path = path
    self.world = world
  }

  /// Looks at every byte of every file but `run.json`; the ranks share the mask files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter checkpoint: what the masks should have been made from; nil to leave that open.
  /// - Returns: the record, and what is wrong, a line each; nothing if all is well.
  /// - Throws: ``RunFailure`` if there is no output to look at.
  public func run(checkpoint: FilePath?, io: SourceKind) throws -> (record: RunRecord, problems: [String]) {
    let text = try world.fromRoot { try MaskReader(path).recordText }
    let reader = try MaskReader(path, recordText: text)
    let names = reader.record.files.keys.sorted(by: Checkpoint.bytewiseLess)
    var lines = try world.agreeing {
      var problems = world.isRoot ? checkTotals(reader.record) + strayFiles(reader.record) : []
      for name in stride(from: world.rank, to: names.count, by: world.size).map({ names[$0] }) {
        problems += checkFile(name, reader)
      }
      return problems
    }
    lines = try world.allGather(Array(lines.joined(separator: "\n").utf8)).flatMap {
      String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init)
    }
    // The index is made from the headers: with a file that is off, its own line says enough.
    if lines.isEmpty { lines += try world.agreeing { world.isRoot ? try checkIndex(reader, names) : [] } }
    if lines.isEmpty, let checkpoint { lines += try compare(reader.record, with: checkpoint, io: io) }
    return (reader.record, lines)
  }

  private func checkTotals(_ record: RunRecord) -> [String] {
    var problems: [String] = []
    let kept = record.matrices.reduce(0) { $0 &+ $1.kept }
    if kept != record.K || record.kept != record.K {
      problems.append("\(OutputDirectory.recordName): K is \(record.K), the matrices keep \(kept)")
    }
    // The sums may wrap, in a record that says nonsense: then they do not agree, which is all that is asked.
    let weights = record.matrices.reduce(0) { $0 &+ $1.shape[0] * $1.shape[1] }
    if weights != record.checkpoint.weights || record.matrices.count != record.checkpoint.matrices {
      problems.append("\(OutputDirectory.recordName): its matrices do not add up to its totals")
    }
    return problems
  }

  private func strayFiles(_ record: RunRecord) -> [String] {
    let names = (try? Folder.names(in: path)) ?? []
    return names.filter { OutputDirectory.isMaskFile($0) && record.files[$0] == nil }.map {
      "\(shown(path.appending($0))): not a file of this run"
    }
  }

  /// Size, digest, header and contents of one mask file.
  private func checkFile(_ name: String, _ reader: MaskReader) -> [String] {
    let file = path.appending(name)
    guard let wanted = reader.record.files[name] else { return [] }
    do {
      let source = try SourceKind.pread.open(file)
      guard source.size == wanted.bytes else {
        return ["\(shown(file)): \(source.size) bytes, should be \(wanted.bytes)"]
      }
      guard try FileDigest.sha256(of: file).hexadecimal == wanted.sha256 else {
        return ["\(shown(file)): its SHA-256 is not the one in \(OutputDirectory.recordName)"]
      }
      let header = try ShardHeader.read(from: source)
      let matrices = reader.record.matrices.filter { $0.file == name }
      let expected = matrices.flatMap { MaskReader.tensors(of: $0).layout }
      guard expected.count == header.tensors.count else {
        return ["\(shown(file)): \(header.tensors.count) tensors, should be \(expected.count)"]
      }
      var contents = MaskContents(source: source, header: header)
      return try matrices.flatMap { try contents.check($0, ranksScores: reader.record.parameters.ranksScores) }.map {
        "\(shown(file)): \($0)"
      }
    } catch let error as SourceError {
      return ["\(error)"]
    } catch {
      return [RunFailure(error).message]
    }
  }

  private func checkIndex(_ reader: MaskReader, _ names: [String]) throws -> [String] {
    let files = try names.map { name in
      let header = try ShardHeader.read(from: SourceKind.pread.open(path.appending(name)))
      return (name: name, tensors: header.tensors.map { (name: $0.name, byteCount: $0.byteRange.count) })
    }
    let file = path.appending(OutputDirectory.indexName)
    guard try MaskReader.contents(of: file) == MaskIndex(files, record: reader.recordText).text else {
      return [
        "\(shown(file)): it is not the index of these files and this \(OutputDirectory.recordName); one of the two has changed"
      ]
    }
    return []
  }

  /// Reads all weights and compares their fingerprint.
  private func compare(_ record: RunRecord, with checkpoint: FilePath, io: SourceKind) throws -> [String] {
    let filter = NameFilter(include: record.parameters.include, exclude: record.parameters.exclude)
    let catalog: Catalog
    do {
      catalog = try Catalog.load(checkpoint, io: io, filter: filter, world: world) { _ in }
    } catch let failure as RunFailure where failure.kind == .usage {
      // A pattern of the run that matches nothing here: another checkpoint.
      return [failure.message]
    }
    let norms = try Norms.measure(catalog, shards: OpenShards(catalog, io: io), world: world) { _ in }
    guard norms.fingerprint == record.checkpoint.fingerprint else {
      return [
        "\(shown(checkpoint)): its fingerprint is \(norms.fingerprint), the masks were made from \(record.checkpoint.fingerprint)"
      ]
    }
    return []
  }
}

/// Streams the tensors of one mask file past their rules.
private struct MaskContents: ~Copyable {
  static let piece = 1 << 20

  let source: any ByteSource
  let tensors: [ExactName: TensorInfo]
  var scratch = ScratchBytes()

  init(source: any ByteSource, header: ShardHeader) {
    self.source = source
    tensors = Dictionary(header.tensors.map { (ExactName($0.name), $0) }) { first, _ in first }
  }

  /// What is wrong with the tensors of one matrix.
  mutating func check(_ matrix: RunRecord.Matrix, ranksScores: Bool) throws -> [String] {
    let wanted = MaskReader.tensors(of: matrix)
    for tensor in wanted.layout {
      guard let found = tensors[ExactName(tensor.name)] else { return ["tensor \(quoted(tensor.name)) is missing"] }
      guard found.dtype == tensor.dtype, found.shape == tensor.shape else {
        return [
          "tensor \(quoted(tensor.name)) is \(found.dtype.rawValue) \(found.shape), "
            + "should be \(tensor.dtype.rawValue) \(tensor.shape)"
        ]
      }
    }
    var problems: [String] = []
    let size = wanted.rows * wanted.columns
    switch (wanted.format, wanted.needsWideIndices) {
    case (.bitmap, _): problems += try checkBitmap(wanted)
    case (_, false): problems += try checkIndices(Int32.self, wanted.indicesName, below: size)
    case (_, true): problems += try checkIndices(Int64.self, wanted.indicesName, below: size)
    }
    // Rounding to single precision keeps order: scores that reach the threshold still do in any units.
    let threshold = matrix.threshold.map { Float($0.times(powerOfTwo: -matrix.scoreExponent)) }
    let least = ranksScores ? threshold ?? 0 : 0
    problems += try checkFloats(wanted.scoresName, atLeast: least)
    problems += try checkFloats(wanted.noiseRowName, atLeast: 0)
    problems += try checkFloats(wanted.noiseColumnName, atLeast: 0)
    return problems
  }

  /// In range, ascending, none twice.
  private mutating func checkIndices<Index: FixedWidthInteger & BitwiseCopyable>(
    _ type: Index.Type, _ name: String, below size: Int
  ) throws -> [String] {
    var last = -1
    return try firstProblem(Index.self, name) { index, position in
      defer { last = Int(index) }
      return Int(index) > last && Int(index) < size
        ? nil : "index \(index) at position \(position) follows \(last); indices ascend from 0 to \(size - 1)"
    }
  }

  /// As many bits as weights are kept, none of them beyond a row's last column.
  private mutating func checkBitmap(_ wanted: MaskTensors) throws -> [String] {
    var bits = 0
    let padding = wanted.bitmapStride * 8 - wanted.columns
    let problem = try firstProblem(UInt8.self, wanted.bitmapName) { byte, position in
      bits += byte.nonzeroBitCount
      let isLast = position % wanted.bitmapStride == wanted.bitmapStride - 1
      return isLast && byte.leadingZeroBitCount < padding ? "bits are set beyond column \(wanted.columns - 1)" : nil
    }
    guard problem.isEmpty, bits != wanted.kept else { return problem }
    return ["tensor \(quoted(wanted.bitmapName)) has \(bits) bits set, should be \(wanted.kept)"]
  }

  private mutating func checkFloats(_ name: String, atLeast least: Float) throws -> [String] {
    try firstProblem(Float.self, name) { value, position in
      value.isFinite && value >= least ? nil : "\(value) at position \(position) is below \(least) or not finite"
    }
  }

  /// Calls `rule` with every element of a tensor and its position, up to the first that it has a complaint about.
  private mutating func firstProblem<Element: BitwiseCopyable>(
    _ type: Element.Type, _ name: String, _ rule: (Element, Int) -> String?
  ) throws -> [String] {
    guard let range = tensors[ExactName(name)]?.byteRange else { return [] }
    let width = MemoryLayout<Element>.stride
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.piece) {
      let part = start..<min(range.upperBound, start + Self.piece)
      let first = (start - range.lowerBound) / width
      let problem: String? = try source.withBytes(in: part, scratch: &scratch) { bytes in
        for index in 0..<bytes.count / width {
          let element = bytes.loadUnaligned(fromByteOffset: index * width, as: Element.self)
          if let problem = rule(element, first + index) { return problem }
        }
        return nil
      }
      if let problem { return ["tensor \(quoted(name)): \(problem)"] }
    }
    return []
  }
}
