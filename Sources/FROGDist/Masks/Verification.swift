import Execution
import MPI
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

/// Checks an output folder, of one mask or of several, against itself and, if asked, against its checkpoint.
package struct Verification {
  let world: Communicator
  let path: FilePath

  /// - Parameter path: the path of the output folder.
  package init(_ path: FilePath, on world: Communicator) {
    self.path = path
    self.world = world
  }

  /// What has been checked, and what is wrong with it.
  package struct Report {
    /// The number of masks.
    package var masks = 0
    /// The number of weights that they keep together.
    package var kept = 0
    /// The number of their mask files.
    package var files = 0
    /// The number of matrices of the checkpoint.
    package var matrices = 0
    /// The problems, a line each; none if all is well.
    package var problems: [String] = []
  }

  /// Checks every byte of every file except `run.json`. The ranks share the mask files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter checkpoint: the checkpoint that the masks should have been made from; nil if that is not asked.
  /// - Throws: ``RunFailure`` if there is no output to check.
  package func run(checkpoint: FilePath?, io: SourceKind) throws -> Report {
    var report = Report()
    let records: [MaskRecord]
    if try world.fromRoot({ MaskSet.isOne(path) ? [1] : [] }).isEmpty {
      records = [try check(into: &report).record]
    } else {
      records = try checkSet(into: &report)
    }
    if report.problems.isEmpty, let checkpoint, let record = records.first {
      report.problems += try compare(record, with: checkpoint, io: io)
    }
    return report
  }

  /// Checks the masks of a run of several, each by itself and against `masks.json`.
  ///
  /// - Returns: the records of the masks.
  private func checkSet(into report: inout Report) throws -> [MaskRecord] {
    let set = try MaskSet(
      text: world.fromRoot { try Document.contents(of: path.appending(MaskSet.fileName)) }, in: path)
    let file = shown(path.appending(MaskSet.fileName))
    let records = try set.masks.map { mask in
      let folder = path.appending(mask.folder ?? "")
      let reader = try Verification(folder, on: world).check(into: &report)
      let (record, text) = (reader.record, RecordedFile(reader.recordText))
      if text != mask.record || mask != MaskSet.Mask(record, in: mask.folder, text: text)
        || record.checkpoint != set.checkpoint
      {
        report.problems.append("\(file): what it says of \(quoted(mask.folder ?? "")) is not what lies there")
      }
      return record
    }
    report.problems += try shared {
      guard world.isRoot else { return [] }
      let known = Set(set.masks.compactMap(\.folder))
      return try Folder.names(in: path).filter {
        MaskTarget.isName($0) && !known.contains($0) && MaskReader.isOutput(path.appending($0))
      }.map { "\(shown(path.appending($0))): not a mask of this run" }
    }
    return records
  }

  /// Checks the folder of one mask.
  ///
  /// - Returns: its record, as read.
  private func check(into report: inout Report) throws -> MaskReader {
    // 1. Read the record.
    let text = try world.fromRoot { try MaskReader(path).recordText }
    let reader = try MaskReader(path, recordText: text)
    let names = reader.record.files.keys.sorted(by: Checkpoint.bytewiseLess)
    // 2. Check totals, small files and mask files.
    var lines = try shared {
      var problems =
        world.isRoot ? checkTotals(reader.record) + checkDocuments(reader.record) + strayFiles(reader.record) : []
      for name in stride(from: world.rank, to: names.count, by: world.size).map({ names[$0] }) {
        problems += checkFile(name, reader)
      }
      return problems
    }
    // 3. Check the index. It is made from the headers, so if a file is wrong, the line of that file says enough. But a file may only seem
    // wrong because the record has changed.
    let hasProblems = !lines.isEmpty
    lines =
      try shared {
        guard world.isRoot else { return [] }
        return hasProblems ? checkRecord(text) : try checkIndex(reader, names)
      } + lines
    report.masks += 1
    report.kept = report.kept.addingSaturated(reader.record.kept)
    report.files += reader.record.files.count
    report.matrices = reader.record.matrices.count
    report.problems += lines
    return reader
  }

  /// What all ranks together have to say, in the order of ranks, on every rank.
  ///
  /// Collective: every rank calls it.
  private func shared(_ check: () throws -> [String]) throws -> [String] {
    let own = try world.agreeing(check)
    return try world.allGather(Array(own.joined(separator: "\n").utf8)).flatMap {
      String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init)
    }
  }

  /// Checks that the record is the one that the index vouches for, as far as the index can be read.
  private func checkRecord(_ text: [UInt8]) -> [String] {
    guard let index = try? Document.contents(of: path.appending(MaskFiles.indexName)),
      let digest = MaskIndex.recordDigest(in: index), digest != MaskIndex.digest(of: text)
    else { return [] }
    return ["\(shown(path.appending(MaskFiles.recordName))): it is not the one that \(MaskFiles.indexName) vouches for"]
  }

  private func checkTotals(_ record: MaskRecord) -> [String] {
    var problems: [String] = []
    let kept = record.matrices.reduce(0) { $0 &+ $1.kept }
    // Whole blocks may not add up to K.
    let isRight = record.parameters.block == nil ? kept == record.K : (0...max(record.K, 0)).contains(kept)
    if !isRight || record.kept != kept {
      problems.append("\(MaskFiles.recordName): K is \(record.K), the matrices keep \(kept)")
    }
    // The sums may wrap in a record that says nonsense. Then they disagree, which is all that matters.
    let weights = record.matrices.reduce(0) { $0 &+ $1.shape[0] * $1.shape[1] }
    if weights != record.checkpoint.weights || record.matrices.count != record.checkpoint.matrices {
      problems.append("\(MaskFiles.recordName): its matrices do not add up to its totals")
    }
    let sums = LayerTotals(record.matrices)
    if sums.layers != record.layers || sums.roles != record.roles {
      problems.append("\(MaskFiles.recordName): its layers and roles are not the sums of its matrices")
    }
    return problems
  }

  /// Checks that the files beside the masks are there if and only if the record says so, byte by byte.
  private func checkDocuments(_ record: MaskRecord) -> [String] {
    MaskFiles.documents.flatMap { check($0, record.documents[$0]) }
  }

  private func check(_ name: String, _ recorded: RecordedFile?) -> [String] {
    let file = path.appending(name)
    guard let wanted = recorded else {
      let isThere = (try? Folder.exists(file)) ?? true
      return isThere ? ["\(shown(file)): not a file of this run"] : []
    }
    do {
      let size = try SourceKind.pread.open(file).size
      let found = RecordedFile(bytes: size, sha256: try FileDigest.sha256(of: file).hexadecimal)
      return found == wanted ? [] : ["\(shown(file)): it is not the one in \(MaskFiles.recordName)"]
    } catch {
      return [RunFailure(error).message]
    }
  }

  private func strayFiles(_ record: MaskRecord) -> [String] {
    let names = (try? Folder.names(in: path)) ?? []
    return names.filter { MaskFiles.isMask($0) && record.files[$0] == nil }.map {
      "\(shown(path.appending($0))): not a file of this run"
    }
  }

  /// Checks size, digest, header and contents of one mask file, in one read of its bytes.
  private func checkFile(_ name: String, _ reader: MaskReader) -> [String] {
    let file = path.appending(name)
    guard let wanted = reader.record.files[name] else { return [] }
    do {
      let source = try SourceKind.pread.open(file)
      guard source.size == wanted.bytes else {
        return ["\(shown(file)): \(source.size) bytes, should be \(wanted.bytes)"]
      }
      let found = Result { () throws(CheckpointError) in try ShardHeader.read(from: source) }
      let outputs = reader.outputs.filter { $0.file == name }
      let contents = MaskContents(
        outputs, header: try? found.get(), ranksScores: reader.record.parameters.ranksScores,
        block: reader.record.parameters.block)
      let (digest, problems) = try contents.read(source)
      guard digest.hexadecimal == wanted.sha256 else {
        return ["\(shown(file)): its SHA-256 is not the one in \(MaskFiles.recordName)"]
      }
      let header = try found.get()
      let expected = outputs.flatMap { $0.tensors.layout }
      guard expected.count == header.tensors.count else {
        return ["\(shown(file)): \(header.tensors.count) tensors, should be \(expected.count)"]
      }
      return problems.map { "\(shown(file)): \($0)" }
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
    let file = path.appending(MaskFiles.indexName)
    guard try Document.contents(of: file) == MaskIndex(files, record: reader.recordText).text else {
      return [
        "\(shown(file)): it is not the index of these files and this \(MaskFiles.recordName); one of the two has changed"
      ]
    }
    return []
  }

  /// Reads all weights of a checkpoint, and compares their fingerprint with the recorded one.
  private func compare(_ record: MaskRecord, with checkpoint: FilePath, io: SourceKind) throws -> [String] {
    let catalog: Catalog
    do {
      catalog = try Catalog.load(checkpoint, io: io, options: record.parameters.tensors.catalogOptions, world: world) {
        _ in
      }
    } catch let failure as RunFailure where failure.kind == .usage {
      // A pattern of the run that matches nothing here means that this is another checkpoint.
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
