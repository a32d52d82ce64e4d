import FoundationEssentials
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The small files of an export: configurations, indexes, records and cards, and copies of a base's other files.
struct ExportDocuments {
  let plan: ExportPlan
  /// The blocks that SMT trains; nil without SMT.
  let blocks: ChosenBlocks?
  let ranks: ExportRanks
  let choice: ExportChoice
  let layout: ExportLayout
  /// The large files, in the order of the layout.
  let recorded: [RecordedFile]
  let catalog: Catalog
  let source: CheckpointSource
  let version: String

  /// Writes all small files into the work folder. Called on rank 0, once all large files are finished.
  ///
  /// - Returns: all files of the export in the order in which they are published, and what the record says of them.
  func write(to work: FilePath) throws -> (files: [PublishedFile], recorded: [String: RecordedFile]) {
    var folders: [String: [PublishedFile]] = [:]
    var order: [String] = []
    var known: [String: RecordedFile] = [:]
    func add(_ name: String, as final: String, in folder: String, _ file: RecordedFile) {
      if folders[folder] == nil { order.append(folder) }
      folders[folder, default: []].append(PublishedFile(name, as: final, in: folder))
      known["\(folder)/\(final)"] = file
    }
    // 1. The large files.
    for (number, file) in layout.files.enumerated() {
      add(ExportLayout.workName(number), as: file.name, in: file.folder, recorded[number])
    }
    // 2. Copies of what lies beside the checkpoint's shards.
    var count = 0
    for method in choice.bases {
      for file in plan.base?.others ?? [] {
        let name = "export-copy-\(count)"
        count += 1
        let copy = try Self.copy(file, to: work.appending(name))
        add(name, as: file.name, in: method.rawValue + (file.folder.map { "/" + $0 } ?? ""), copy)
      }
    }
    // 3. What is made here. The files that tell what a folder is come last.
    for (number, method) in choice.methods.enumerated() {
      for (folder, name, text) in try documents(of: method, number) {
        let place = "export-text-\(count)"
        count += 1
        try DurableFile.writeWhole(text, to: work.appending(place))
        add(place, as: name, in: folder, RecordedFile(text))
      }
    }
    return (order.flatMap { folders[$0] ?? [] }, known)
  }

  /// The documents of a method: their folders, names and contents.
  private func documents(of method: ExportMethod, _ number: Int) throws -> [(
    folder: String, name: String, text: [UInt8]
  )] {
    let hasBase = choice.bases.contains(method)
    let adapter = ExportFiles.adapterFolder(of: method, hasBase: hasBase)
    let own = plan.targets.indices.map { ranks[number, $0] }
    let card = (method.rawValue, ExportFiles.cardName, Array(card(of: method, ranks: own).text.utf8))
    if let blocks, method == .smt {
      let (bytes, tensors) = try blocks.file(plan)
      let name = ExportFiles.adapterShardName(1, of: 1)
      let index = Self.index([(name, tensors)])
      return [
        card, (adapter, name, bytes), (adapter, ExportFiles.frogIndexName, index),
        (
          adapter, ExportFiles.frogRecordName,
          try record(of: method, files: [name: RecordedFile(bytes)], index: index, ranks: own) { target in
            blocks.blocks[target].isEmpty ? nil : ("blocks", blocks.blocks[target].count)
          }
        ),
      ]
    }
    guard method.isForPEFT else {
      let files = zip(layout.files, recorded).filter { $0.0.method == method && $0.0.source == nil }
      let index = Self.index(files.map { ($0.0.name, $0.0.tensors) })
      let recorded = Dictionary(files.map { ($0.name, $1) }, uniquingKeysWith: { first, _ in first })
      return [
        card,
        (adapter, ExportFiles.frogIndexName, index),
        (
          adapter, ExportFiles.frogRecordName,
          try record(of: method, files: recorded, index: index, ranks: own) { ("rank", own[$0]) }
        ),
      ]
    }
    let config = AdapterConfig(method: method, choice: choice, plan: plan, ranks: own)
    return [card, (adapter, ExportFiles.configName, try config.encode())]
  }

  /// The card of a method.
  private func card(of method: ExportMethod, ranks: [Int]) -> Card {
    let blocks = method == .smt ? blocks?.blocks : nil
    let adapted = plan.targets.indices.filter { target in
      !method.leavesOut(plan.targets[target]) && blocks?[target].isEmpty != true
    }
    return Card(
      CardFacts(
        method: method, choice: choice, version: version, source: source, architecture: plan.architecture,
        isCausalModel: plan.isCausalModel, modules: adapted.count, ranks: adapted.map { ranks[$0] },
        blocks: blocks?.reduce(0) { $0 + $1.count }, leftOut: plan.targets.count(where: method.leavesOut),
        namesOfExperts: Set(plan.targets.filter(\.isNamedAsExpert).map(\.lastName)).sorted()))
  }

  /// The index of an adapter for frogmask.
  private static func index(_ files: [(name: String, tensors: [(name: String, byteCount: Int)])]) -> [UInt8] {
    ShardIndex.encode(
      files.flatMap { file in file.tensors.map { ShardIndex.Entry(tensor: $0.name, file: file.name) } },
      totalSize: files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } }, metadata: ["format": "pt"])
  }

  /// The record of a method's adapter for frogmask (docs/reference/formats.md).
  ///
  /// - Parameter count: what is counted of the target at a position, and how many there are; nil if the target has no adapter.
  private func record(
    of method: ExportMethod, files: [String: RecordedFile], index: [UInt8],
    ranks: [Int], count: (_ target: Int) -> (name: String, number: Int)?
  ) throws -> [UInt8] {
    struct Source: Codable {
      let name: String
      let tensor: String
      let dtype: String
      let shape: [Int]
      @ExplicitNull var slice: RecordedSlice?
    }
    struct Record: Encodable {
      let format = "frog-adapter"
      let format_version = 1
      let version: String
      let method: String
      let parameters: JSONValue
      let checkpoint: CheckpointSource
      let matrices: [Source]
      let names: [String: NamedParameter]
      let tensors: JSONValue
      let files: [String: RecordedFile]
      let documents: [String: RecordedFile]
    }
    var tensors: [String: JSONValue] = [:]
    for (number, target) in plan.targets.enumerated() {
      guard let count = count(number) else { continue }
      tensors[target.tensor] = .object([
        "shape": .array([target.rows, target.columns].map { .number(Double($0)) }),
        "dtype": .string(catalog.matrices[target.ordinal].dtype.rawValue), count.name: .number(Double(count.number)),
      ])
    }
    return try Document.encode(
      Record(
        version: version, method: method.rawValue, parameters: parameters(of: method, ranks: ranks), checkpoint: source,
        matrices: catalog.matrices.map {
          Source(
            name: $0.name, tensor: catalog.tensors[$0.tensor].name, dtype: $0.dtype.rawValue,
            shape: [$0.rows, $0.columns], slice: catalog.recordedSlice(of: $0))
        },
        names: plan.names, tensors: .object(tensors), files: files,
        documents: [ExportFiles.frogIndexName: RecordedFile(index)]))
  }

  private func parameters(of method: ExportMethod, ranks: [Int]) -> JSONValue {
    let rank: JSONValue = choice.rank.map { .number(Double($0)) } ?? nil
    switch method {
    case .svft:
      return .object([
        "rank": nil, "pattern": .string(choice.entries.pattern.rawValue),
        "d": .number(Double(choice.entries.diagonals)),
        "top_k_rule": choice.entries.topKRule.map { .string($0.rawValue) } ?? nil,
      ])
    case .loraXS:
      return .object(["rank": rank, "alpha": .number(choice.alpha ?? Double(ranks.max() ?? 1))])
    case .smt:
      let blocks = choice.blocks ?? BlockOptions()
      return .object([
        "block": .number(Double(blocks.side)), "ratio": .number(blocks.ratio), "rule": .string(blocks.rule.rawValue),
        "ranking": .string(blocks.ranking.rawValue), "proxy": .boolean(blocks.isProxy),
        "gradients": blocks.gradients.map { .string($0) } ?? nil,
      ])
    default: return .object(["rank": rank])
    }
  }

  /// Copies a file byte by byte.
  private static func copy(_ file: BaseFiles.File, to path: FilePath) throws -> RecordedFile {
    let source = try SourceKind.pread.open(FilePath(file.path))
    try Folder.remove(path)
    let copy = try DurableFile(creating: path, size: source.size)
    var scratch = ScratchBytes()
    for start in stride(from: 0, to: source.size, by: 1 << 20) {
      try source.withBytes(in: start..<min(source.size, start + 1 << 20), scratch: &scratch) {
        try copy.write($0, at: start)
      }
    }
    try copy.synchronize()
    return RecordedFile(bytes: source.size, sha256: try FileDigest.sha256(of: path).hexadecimal)
  }
}
