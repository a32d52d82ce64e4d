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
      var problems =
        world.isRoot ? checkTotals(reader.record) + checkNames(reader.record) + strayFiles(reader.record) : []
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

  /// `names.json` is there if and only if the record says so, byte by byte.
  private func checkNames(_ record: RunRecord) -> [String] {
    let file = path.appending(TransformersNames.fileName)
    guard let wanted = record.names else {
      let isThere = (try? file.stat()) != nil
      return isThere ? ["\(shown(file)): not a file of this run"] : []
    }
    do {
      let found = RunRecord.File(try MaskReader.contents(of: file))
      return found == wanted ? [] : ["\(shown(file)): it is not the one in \(OutputDirectory.recordName)"]
    } catch {
      return [RunFailure(error).message]
    }
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
      let outputs = reader.outputs.filter { $0.file == name }
      let expected = outputs.flatMap { $0.tensors.layout }
      guard expected.count == header.tensors.count else {
        return ["\(shown(file)): \(header.tensors.count) tensors, should be \(expected.count)"]
      }
      var contents = MaskContents(source: source, header: header)
      return try outputs.flatMap { try contents.check($0, ranksScores: reader.record.parameters.ranksScores) }.map {
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
    let catalog: Catalog
    do {
      catalog = try Catalog.load(checkpoint, io: io, options: record.parameters.catalogOptions, world: world) { _ in }
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

  /// What is wrong with the tensors of one matrix or stack.
  mutating func check(_ output: RecordedOutput, ranksScores: Bool) throws -> [String] {
    let wanted = output.tensors
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
    switch (wanted.format, wanted.needsWideIndices) {
    case (.bitmap, _): problems += try checkBitmap(wanted)
    case (_, false): problems += try checkIndices(Int32.self, output)
    case (_, true): problems += try checkIndices(Int64.self, output)
    }
    // Rounding to single precision keeps order: scores that reach the threshold still do in any units.
    let least = output.matrices.map { matrix in
      ranksScores ? matrix.threshold.map { Float($0.times(powerOfTwo: -matrix.scoreExponent)) } ?? 0 : 0
    }
    problems += try checkFloats(wanted.scoresName, atLeast: least, kept: wanted.kept)
    problems += try checkFloats(wanted.noiseRowName, atLeast: [0], kept: [])
    problems += try checkFloats(wanted.noiseColumnName, atLeast: [0], kept: [])
    return problems
  }

  /// Ascending, none twice, and each in the part of the stored tensor that is its matrix.
  private mutating func checkIndices<Index: FixedWidthInteger & BitwiseCopyable>(
    _ type: Index.Type, _ output: RecordedOutput
  ) throws -> [String] {
    var last = -1
    var owner = Owner(kept: output.tensors.kept)
    let size = output.tensors.storedSize
    return try firstProblem(Index.self, output.tensors.indicesName) { index, position in
      defer { last = Int(index) }
      guard Int(index) > last, Int(index) < size else {
        return "index \(index) at position \(position) follows \(last); indices ascend from 0 to \(size - 1)"
      }
      let expert = owner.expert(at: position)
      return output.slices[expert].contains(storedPosition: Int(index))
        ? nil : "index \(index) at position \(position) lies outside \(quoted(output.matrices[expert].name))"
    }
  }

  /// As many bits as weights are kept of each expert, none of them beyond a row's last column.
  private mutating func checkBitmap(_ wanted: MaskTensors) throws -> [String] {
    var bits = [Int](repeating: 0, count: wanted.kept.count)
    let padding = wanted.bitmapStride * 8 - wanted.columns
    let bytes = wanted.rows * wanted.bitmapStride
    let problem = try firstProblem(UInt8.self, wanted.bitmapName) { byte, position in
      bits[position / bytes] += byte.nonzeroBitCount
      let isLast = position % wanted.bitmapStride == wanted.bitmapStride - 1
      return isLast && byte.leadingZeroBitCount < padding ? "bits are set beyond column \(wanted.columns - 1)" : nil
    }
    guard problem.isEmpty, bits != wanted.kept else { return problem }
    return [
      "tensor \(quoted(wanted.bitmapName)) has \(bits.reduce(0, +)) bits set, should be \(wanted.keptTotal)"
        + (wanted.isStack ? ", or has them in other experts" : "")
    ]
  }

  /// - Parameters:
  ///   - least: by expert.
  ///   - kept: how many of the values belong to each expert; nothing if they are all under one rule.
  private mutating func checkFloats(_ name: String, atLeast least: [Float], kept: [Int]) throws -> [String] {
    var owner = Owner(kept: kept)
    return try firstProblem(Float.self, name) { value, position in
      let least = least[owner.expert(at: position)]
      return value.isFinite && value >= least
        ? nil : "\(value) at position \(position) is below \(least) or not finite"
    }
  }

  /// Whose the kept weights are, asked for in their order.
  private struct Owner {
    let kept: [Int]
    var current = 0
    var end: Int

    init(kept: [Int]) {
      self.kept = kept
      end = kept.first ?? .max
    }

    mutating func expert(at position: Int) -> Int {
      while position >= end, current + 1 < kept.count {
        current += 1
        end += kept[current]
      }
      return current
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
