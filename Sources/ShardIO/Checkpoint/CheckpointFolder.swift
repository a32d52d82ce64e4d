import SystemPackage

/// The names in the folder of a checkpoint, and the choice of those that are the model.
///
/// Without an index nothing says which files count. All files that happen to lie there may hold a model twice, or two
/// thirds of it. So the choice follows the loaders of Hugging Face, and where these load nothing, it takes files
/// together only if their names and contents allow it (decision 0016).
struct CheckpointFolder {
  /// The files that are the model.
  enum Choice {
    /// The shards that the index of this name mentions.
    case index(String)
    /// The files of these families, which may still turn out not to belong together.
    case families([ShardFamily])
  }

  let path: FilePath
  /// All names but hidden ones, in order of their bytes.
  let names: [String]
  /// The names of safetensors files, in order of their bytes.
  let shards: [String]
  /// The names of indexes of safetensors files, in order of their bytes.
  let indexes: [String]

  /// The stems that transformers and diffusers load, by default and in this order.
  private static let standardStems = ["model", "diffusion_pytorch_model"]
  /// What the names of files begin with that Hugging Face's libraries put beside a model and never load as one.
  private static let sideStems = [
    "adapter_model", "consolidated", "optimizer", "random_states", "scheduler", "training_",
  ]

  /// Lists a folder.
  ///
  /// - Complexity: O(n log n) for n names.
  init(_ path: FilePath) throws(CheckpointError) {
    do {
      // A dot begins the names of unfinished downloads, and of the `._` files that macOS leaves beside real ones.
      names = try Folder.names(in: path).filter { !$0.hasPrefix(".") }
    } catch {
      throw CheckpointError(.opening(path, error.errno))
    }
    self.path = path
    shards = names.filter { $0.hasSuffix(".safetensors") }
    indexes = names.filter { ShardIndex.stem(of: $0) != nil }
  }

  /// Chooses the files that are the model. There must be an index or a shard.
  ///
  /// - Throws: ``CheckpointError`` if files of a set are missing, or if it cannot be told which of two is the model.
  func choice() throws(CheckpointError) -> Choice {
    // 1. The index of transformers.
    if indexes.contains(ShardIndex.fileName) { return .index(ShardIndex.fileName) }
    // 2. What the loaders of Hugging Face open besides.
    let families = ShardFamily.families(of: shards)
    if let standard = try standardChoice(of: families) { return standard }
    // 3. The only index of another name.
    if let index = try otherIndex() { return .index(index) }
    // 4. All that is not put beside models, if it is complete.
    let counted = families.filter { !Self.liesBesideModels($0) }
    let chosen = counted.isEmpty ? families : counted
    for family in chosen { try family.checkIsComplete(in: path) }
    return .families(chosen)
  }

  /// The families that could be the model instead of the shards of an index that mentions `mentioned`.
  func alternatives(to mentioned: Set<ExactName>) -> [ShardFamily] {
    let others = shards.filter { !mentioned.contains(ExactName($0)) }
    return ShardFamily.families(of: others).filter { $0.isComplete && !Self.liesBesideModels($0) }
  }

  // MARK: Rules

  /// What transformers or diffusers would load; nil if nothing has a name that they know.
  private func standardChoice(of families: [ShardFamily]) throws(CheckpointError) -> Choice? {
    var found: [(name: String, choice: Choice)] = []
    for stem in Self.standardStems {
      let index = "\(stem).safetensors.index.json"
      let named = families.filter { ExactName($0.stem) == ExactName(stem) }
      if indexes.contains(index) {
        found.append((quoted(index), .index(index)))
      } else if let plain = named.first(where: { $0.total == nil }) {
        found.append((plain.description, .families([plain])))
      } else {
        found += named.filter(\.isComplete).map { ($0.description, .families([$0])) }
      }
    }
    if found.count > 1 { throw ambiguous(found[0].name, found[1].name) }
    if found.isEmpty {
      for family in families where Self.standardStems.contains(family.stem) { try family.checkIsComplete(in: path) }
    }
    return found.first?.choice
  }

  /// The only index, those of variants beside a plain one not counted; nil if there is none.
  private func otherIndex() throws(CheckpointError) -> String? {
    let stems = indexes.compactMap(ShardIndex.stem).map { ExactName($0) }
    let known = Set(stems)
    let plain = zip(indexes, stems).filter { _, stem in
      ShardFamily.plainStem(ofVariant: stem.string).map { !known.contains(ExactName($0)) } ?? true
    }.map(\.0)
    if plain.count > 1 { throw ambiguous(quoted(plain[0]), quoted(plain[1])) }
    return plain.first
  }

  private static func liesBesideModels(_ family: ShardFamily) -> Bool {
    sideStems.contains { family.stem.hasPrefix($0) }
  }

  /// The error for two models in one folder.
  private func ambiguous(_ first: String, _ second: String) -> CheckpointError {
    CheckpointError(
      kind: .data, path: path,
      problem: "\(first) and \(second) may each be the model; give the path of one file, or leave one of them here")
  }
}
