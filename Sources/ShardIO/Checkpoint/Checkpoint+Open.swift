import SystemPackage

/// The steps of ``Checkpoint/open(_:io:)``, and the warnings that they collect.
struct CheckpointOpening {
  let path: FilePath
  let io: SourceKind
  var warnings: [String] = []

  /// The most lines that name files which do not count. Thousands would hide all others.
  private static let mostIgnored = 50

  init(path: FilePath, io: SourceKind) {
    self.path = path
    self.io = io
  }

  /// Opens a checkpoint of one file.
  mutating func file() throws(CheckpointError) -> Checkpoint {
    let name = path.lastComponent?.string ?? path.string
    if ShardIndex.stem(of: name) != nil {
      throw CheckpointError(kind: .noInput, path: path, problem: "this is a shard index; give its folder instead")
    }
    let shard = Shard(fileName: name, path: path, header: try readHeader(path))
    if let part = PartName(name), part.total > 1 {
      warnings.append("\(quoted(name)) is one of \(part.total) files; the others do not count")
    }
    return try checkpoint(of: [shard], index: nil)
  }

  /// Opens a checkpoint of those files of a folder that are the model.
  mutating func folder() throws(CheckpointError) -> Checkpoint {
    let folder = try CheckpointFolder(path)
    guard !folder.shards.isEmpty || !folder.indexes.isEmpty else {
      throw CheckpointError(kind: .noInput, path: path, problem: OtherWeights(in: folder).problem)
    }
    switch try folder.choice() {
    case .index(let name):
      let index = try readIndex(name)
      let shards = try openShards(of: index, in: folder)
      warnAboutIgnored(folder.shards, but: shards, because: "\(index.shown) does not mention it")
      return try checkpoint(of: shards, index: index)
    case .families(let families):
      return try checkpoint(of: families, in: folder)
    }
  }

  /// Opens a checkpoint of all files of some families.
  private mutating func checkpoint(
    of families: [ShardFamily], in folder: CheckpointFolder
  ) throws(CheckpointError) -> Checkpoint {
    // 1. Read the headers.
    var shards: [Shard] = []
    for name in families.flatMap(\.files).sorted(by: { ExactName($0) < ExactName($1) }) {
      let file = path.appending(name)
      shards.append(Shard(fileName: name, path: file, header: try readHeader(file)))
    }
    // 2. Leave out variants of the same tensors in another precision.
    let variants = Set(variants(in: families, shards: shards).flatMap(\.files).map { ExactName($0) })
    let families = families.filter { !variants.contains(ExactName($0.files[0])) }
    shards.removeAll { variants.contains(ExactName($0.fileName)) }
    // 3. Put together what is left, unless it holds weights twice.
    let model = families.count == 1 ? families[0].description : "the rest"
    warnAboutIgnored(folder.shards + folder.indexes, but: shards, because: "\(model) is the model")
    let checkpoint = try checkpoint(of: shards, index: nil)
    if families.count > 1 { try ShardCopies(of: families, shards: shards).refuse(in: path) }
    return checkpoint
  }

  /// The families that are called like another one with `.fp16` or the like behind it, and hold no tensor besides.
  private func variants(in families: [ShardFamily], shards: [Shard]) -> [ShardFamily] {
    let headers = Dictionary(shards.map { (ExactName($0.fileName), $0.header) }) { first, _ in first }
    func tensors(of families: some Sequence<ShardFamily>) -> Set<ExactName> {
      Set(families.flatMap(\.files).compactMap { headers[ExactName($0)] }.flatMap(\.tensors).map { ExactName($0.name) })
    }
    let byStem = Dictionary(grouping: families) { ExactName($0.stem) }
    // The names of a plain family are collected once, however many variants it has.
    var plain: [ExactName: Set<ExactName>] = [:]
    return families.filter { family in
      guard let stem = ShardFamily.plainStem(ofVariant: family.stem).map({ ExactName($0) }),
        let others = byStem[stem]
      else { return false }
      let known = plain[stem] ?? tensors(of: others)
      plain[stem] = known
      return tensors(of: [family]).isSubset(of: known)
    }
  }

  /// Reads the header of a file.
  func readHeader(_ file: FilePath) throws(CheckpointError) -> ShardHeader {
    let source: any ByteSource
    do {
      source = try io.open(file)
    } catch {
      throw CheckpointError(error)
    }
    return try ShardHeader.read(from: source)
  }

  /// Warns about the files that play no part.
  private mutating func warnAboutIgnored(_ names: [String], but used: [Shard], because reason: String) {
    let used = Set(used.map { ExactName($0.fileName) })
    let ignored = names.filter { !used.contains(ExactName($0)) }
    for name in ignored.prefix(Self.mostIgnored) { warnings.append("\(quoted(name)) is ignored: \(reason)") }
    if ignored.count > Self.mostIgnored {
      warnings.append("\(ignored.count - Self.mostIgnored) more files are ignored: \(reason)")
    }
  }

  /// Puts the tensors of all shards into one checkpoint.
  private mutating func checkpoint(of shards: [Shard], index: NamedIndex?) throws(CheckpointError) -> Checkpoint {
    var tensors: [CheckpointTensor] = []
    tensors.reserveCapacity(shards.reduce(0) { $0 + $1.header.tensors.count })
    for (ordinal, shard) in shards.enumerated() {
      for info in shard.header.tensors { tensors.append(CheckpointTensor(info: info, shard: ordinal)) }
    }
    tensors.sort { Checkpoint.bytewiseLess($0.info.name, $1.info.name) }
    for (first, second) in zip(tensors, tensors.dropFirst())
    where ExactName(first.info.name) == ExactName(second.info.name) {
      throw CheckpointError(
        kind: .data, path: path,
        problem: "tensor \(quoted(first.info.name)) is in two shards, "
          + "\(quoted(shards[first.shard].fileName)) and \(quoted(shards[second.shard].fileName)); remove one")
    }
    if let index { try check(tensors, in: shards, against: index) }
    return Checkpoint(
      path: path, shards: shards, tensors: tensors, indexName: index?.fileName, warnings: warnings)
  }
}
