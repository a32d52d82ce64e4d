import ShardIO

/// Finds tables: tensors whose rows are looked up by a number, such as that of a token or a position, and heads that give a score for each
/// token.
///
/// Outside all layers a table has as many rows, or columns, as the vocabulary or the positions of config.json, whatever its name. A number
/// that is also the size of a layer tells nothing, and then the name decides. Where config.json tells no sizes at all, a tensor that reads
/// or writes the width of the layers, and on its other side is three times as large and half as large again as anything in them, is a table.
///
/// Inside layers names decide, since many sizes meet there by chance.
struct Tables {
  /// Why a tensor is a table.
  struct Finding: Equatable {
    let reason: String
    let evidence: String
  }

  private let sizes: ModelSizes
  /// Sizes of vocabularies that are no sizes of layers.
  private let vocabularies: Set<Int>
  /// Numbers of positions that are no sizes of layers.
  private let positions: Set<Int>
  /// The width of the layers: the most frequent dimension in them; 0 if there are none.
  private let width: Int
  /// The largest dimension of a matrix in the layers; 0 if there are none.
  private let largest: Int
  private let modules: CheckpointModules

  /// - Complexity: O(bytes of the names of all tensors of rank 2).
  init(
    _ tensors: [CheckpointTensor], _ tree: NameTree, sizes: ModelSizes, layers: LayerStructure,
    modules: CheckpointModules
  ) {
    self.sizes = sizes
    self.modules = modules
    var vocabularies = sizes.vocabularies
    var counts: [Int: Int] = [:]
    var largest = 0
    for (index, tensor) in tensors.enumerated() where tensor.info.shape.count == 2 && tensor.info.elementCount > 0 {
      let (info, path) = (tensor.info, tree.path(ofTensor: index))
      let isToken = Self.isTokenEmbedding(path)
      if isToken, sizes.vocabularies.isEmpty, vocabularies.count < 16 { vocabularies.insert(info.shape[0]) }
      let isTable = isToken || path.signs.contains(.otherEmbedding) || OutputHeads.isNamed(path)
      guard !isTable, !path.isBareParameter, layers.layer(of: info.name) != nil else { continue }
      for size in Set(info.shape) { counts[size, default: 0] += 1 }
      largest = max(largest, info.shape.max() ?? 0)
    }
    let width = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 0
    self.width = width
    self.largest = largest
    func isTelling(_ size: Int) -> Bool { size > 2 && size != width && !sizes.layerSizes.contains(size) }
    self.vocabularies = vocabularies.filter(isTelling)
    positions = sizes.positions.filter(isTelling)
  }

  /// Whether the name is that of a token embedding, which the output head may be tied to.
  static func isTokenEmbedding(_ path: TensorPath) -> Bool {
    path.signs.contains(.tokenEmbedding) || path.tree.piece(of: path.module) == "shared"
  }

  /// Why a tensor of rank 2 is a table; nil if it is none.
  ///
  /// - Parameter isInLayer: whether the tensor stands in a layer.
  func finding(_ info: TensorInfo, _ path: TensorPath, isInLayer: Bool) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    // 1. Names that everyone uses.
    if Self.isTokenEmbedding(path) { return Finding(reason: "embedding", evidence: "its name") }
    if path.signs.contains(.otherEmbedding) { return Finding(reason: "embedding", evidence: "its name") }
    // 2. As large as the vocabulary.
    if !isInLayer, rows != columns, let size = [rows, columns].first(where: vocabularies.contains),
      isVocabulary(size, beside: size == rows ? columns : rows, path)
    {
      let source = sizes.vocabularies.contains(size) ? "\(ModelConfig.fileName) tells" : "the token embedding has"
      let evidence = "\(size) \(size == rows ? "rows" : "columns"): the vocabulary, as \(source)"
      return Finding(reason: Self.reason(of: path), evidence: evidence)
    }
    // 3. Positions, and vectors that are no module's weight.
    if let finding = position(info, path, isInLayer) ?? namedVectors(info, path) ?? biasOfHeads(info, path) {
      return finding
    }
    // 4. Far larger than all layers. Projections between the parts of a model are so too, but such models have a config.json.
    guard !isInLayer, largest > 0, sizes.modelWidths.isEmpty, !OutputHeads.isNamed(path) else { return nil }
    let (narrow, wide) = (min(rows, columns), max(rows, columns))
    if narrow == width, wide / 3 >= max(narrow, largest / 2) {
      return Finding(
        reason: Self.reason(of: path),
        evidence: "outside all layers, it is \(wide) wide on one side, and no layer is wider than \(largest)")
    }
    return nil
  }

  /// The smallest vocabulary that is believed without further evidence: smaller numbers are sizes of many things.
  private static let leastVocabulary = 512

  /// Whether a dimension of the size of a vocabulary is one: if it is large, or stands beside the width of the model, or by its name.
  private func isVocabulary(_ size: Int, beside other: Int, _ path: TensorPath) -> Bool {
    size >= Self.leastVocabulary || other == width || sizes.modelWidths.contains(other)
      || OutputHeads.isNamed(path) || !Self.words(of: path).isDisjoint(with: Self.embeddingWords)
  }

  /// Embedding or output head, as the name suggests.
  private static func reason(of path: TensorPath) -> String {
    if OutputHeads.isNamed(path) { return "output head" }
    let words = words(of: path)
    guard words.isDisjoint(with: embeddingWords) else { return "embedding" }
    return words.isDisjoint(with: ["output", "unembed", "out", "decoder"]) ? "embedding" : "output head"
  }

  private static let embeddingWords: Set<String> = ["embed", "embedding", "embeddings", "emb", "tok"]

  /// The words of a module's name and of the piece above.
  private static func words(of path: TensorPath) -> Set<String> {
    Set(path.nodesUp.prefix(2).flatMap { TensorName.words(of: path.tree.piece(of: $0).string) })
  }

  /// A table of positions: a position for each row, and a name that says so, or a number of positions that is no size of a layer.
  private func position(_ info: TensorInfo, _ path: TensorPath, _ isInLayer: Bool) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    let isNamed = Self.isNamedForPositions(path.moduleWords)
    // Some models store two rows more than there are positions.
    let isLong = sizes.positions.contains { $0 > 2 && (rows == $0 || rows - 2 == $0) }
    // Numbers of positions are round, and so are many others. A table has no bias, and is as wide as the model unless its name tells.
    let isWide =
      columns == width || sizes.modelWidths.contains(columns)
      || !Self.words(of: path).isDisjoint(with: Self.embeddingWords)
    let isAlone = path.isBareParameter || (!isInLayer && modules.tensors(in: path.module).count == 1)
    let isTelling = positions.contains(rows) && rows != columns && isWide && isAlone
    if isLong, isNamed || isTelling {
      return Finding(reason: "embedding", evidence: "\(rows) rows: the positions, as \(ModelConfig.fileName) tells")
    }
    if isNamed { return Finding(reason: "embedding", evidence: "its name tells of positions") }
    // Masks and buffers from position to position.
    if path.isBareParameter, rows == columns, sizes.positions.contains(rows), rows != width {
      return Finding(reason: "constant", evidence: "it goes from position to position")
    }
    return nil
  }

  /// Whether a module's own name is that of a table of positions, such as `pos_embed` or `positions`; `linear_pos` is a projection.
  private static func isNamedForPositions(_ words: [String]) -> Bool {
    let positions: Set<String> = ["pos", "position", "positions", "positional"]
    guard let last = words.last, !positions.isDisjoint(with: words), words.first != "linear" else { return false }
    return positions.contains(last) || ["table", "encoding", "bias", "emb"].contains(last)
      || !embeddingWords.isDisjoint(with: words)
  }

  /// Vectors that are looked up, by the name of their module or their own. A linear layer of such a name has a bias beside its weight.
  private func namedVectors(_ info: TensorInfo, _ path: TensorPath) -> Finding? {
    let words = path.moduleWords
    guard let last = words.last else { return nil }
    let isNamed = ["embed", "embeds", "embedding", "embeddings"].contains(last)
    if path.isBareParameter {
      guard isNamed || words.contains("token") || words.contains("tokens") else { return nil }
      return Finding(reason: "embedding", evidence: "its name, and it is no weight of a module")
    }
    guard isNamed, modules.tensors(in: path.module).count == 1 else { return nil }
    return Finding(reason: "embedding", evidence: "its name, and no bias beside it")
  }

  /// A few numbers for each attention head: biases of relative positions, decay rates.
  private func biasOfHeads(_ info: TensorInfo, _ path: TensorPath) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    guard let heads = [columns, rows].first(where: sizes.heads.contains) else { return nil }
    let other = heads == columns ? rows : columns
    let isWidth = other == width || sizes.layerSizes.contains(other)
    // A vector of the model's width that is stored head by head has [heads, width / heads].
    let isVector = path.isBareParameter && (info.elementCount == width || sizes.modelWidths.contains(info.elementCount))
    guard isVector || (!isWidth && width > 0 && info.elementCount / 64 <= width) else { return nil }
    return Finding(
      reason: "numbers of heads",
      evidence: "\(heads) \(heads == columns ? "columns" : "rows"), one for each attention head")
  }
}
