import ShardIO

/// Finds tables: tensors whose rows are looked up by a number, such as that of a token or a position, and heads that give a score for each
/// token.
///
/// Outside all layers a table has as many rows, or columns, as the vocabulary or the positions of config.json, whatever its name. A number
/// that is also the size of a layer tells nothing, and then the name decides. Without a number in config.json, a tensor that reads or
/// writes the width of the layers, and is at least twice as large on its other side as anything in them, is a table.
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
  private let layers: LayerPlaces
  private let modules: CheckpointModules

  /// - Complexity: O(bytes of the names of all tensors of rank 2).
  init(_ tensors: [CheckpointTensor], sizes: ModelSizes, layers: LayerPlaces, modules: CheckpointModules) {
    self.sizes = sizes
    self.modules = modules
    self.layers = layers
    var vocabularies = sizes.vocabularies
    var counts: [Int: Int] = [:]
    var largest = 0
    for tensor in tensors where tensor.info.shape.count == 2 && tensor.info.elementCount > 0 {
      let (info, name) = (tensor.info, TensorName(tensor.info.name))
      let isTable = name.isTokenEmbedding || name.isOtherEmbedding || name.isOutputHead
      if name.isTokenEmbedding, sizes.vocabularies.isEmpty { vocabularies.insert(info.shape[0]) }
      guard layers.contains(info.name), !isTable, !name.isBareParameter else { continue }
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

  /// Why a tensor of rank 2 is a table; nil if it is none.
  func finding(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    // 1. Names that everyone uses.
    if name.isTokenEmbedding { return Finding(reason: "embedding", evidence: "its name") }
    if name.isOtherEmbedding { return Finding(reason: "embedding", evidence: "its name") }
    // 2. As large as the vocabulary.
    if !layers.contains(info.name), rows != columns, let size = [rows, columns].first(where: vocabularies.contains) {
      let source = sizes.vocabularies.contains(size) ? "\(ModelConfig.fileName) tells" : "the token embedding has"
      let evidence = "\(size) \(size == rows ? "rows" : "columns"): the vocabulary, as \(source)"
      return Finding(reason: name.isOutputHead ? "output head" : Self.reason(of: name), evidence: evidence)
    }
    // 3. Positions, and vectors that are no module's weight.
    if let finding = position(info, name) ?? namedVectors(info, name) ?? biasOfHeads(info, name) { return finding }
    // 4. Far larger than all layers.
    guard !layers.contains(info.name), largest > 0, !name.isOutputHead else { return nil }
    let (narrow, wide) = (min(rows, columns), max(rows, columns))
    if narrow == width || sizes.modelWidths.contains(narrow), wide / 2 >= largest {
      return Finding(
        reason: Self.reason(of: name),
        evidence: "outside all layers, it is \(wide) wide on one side, and no layer is wider than \(largest)")
    }
    return nil
  }

  /// Embedding or output head, as the name suggests.
  private static func reason(of name: TensorName) -> String {
    let words = Set(name.parts.flatMap { TensorName.words(of: $0.string) })
    if !words.isDisjoint(with: ["embed", "embedding", "embeddings", "emb", "tok", "wte"]) { return "embedding" }
    if !words.isDisjoint(with: ["head", "output", "decoder", "logits", "unembed", "out"]) { return "output head" }
    return "embedding"
  }

  /// A table of positions: a position for each row, and a name that says so, or a number of positions that is no size of a layer.
  private func position(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    let words = Set(name.path.suffix(2).flatMap { TensorName.words(of: $0.string) })
    let isNamed = !words.isDisjoint(with: ["pos", "position", "positions", "positional"])
    // Some models store two rows more than there are positions.
    let isLong = sizes.positions.contains { $0 > 2 && (rows == $0 || rows == $0 + 2) }
    if isLong,
      isNamed || (positions.contains(rows) && rows != columns && (name.isBareParameter || !layers.contains(info.name)))
    {
      return Finding(reason: "embedding", evidence: "\(rows) rows: the positions, as \(ModelConfig.fileName) tells")
    }
    if isNamed, words.isDisjoint(with: ["proj", "projection", "linear", "dense"]) {
      return Finding(reason: "embedding", evidence: "its name tells of positions")
    }
    // Masks and buffers from position to position.
    if name.isBareParameter, rows == columns, sizes.positions.contains(rows), rows != width {
      return Finding(reason: "constant", evidence: "it goes from position to position")
    }
    return nil
  }

  /// Vectors that are looked up, by the name of their module or their own. A linear layer of such a name has a bias beside its weight.
  private func namedVectors(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    guard let words = name.path.last.map({ TensorName.words(of: $0.string) }), let last = words.last else { return nil }
    let isNamed = ["embed", "embeds", "embedding", "embeddings"].contains(last)
    if name.isBareParameter {
      guard isNamed || words.contains("token") || words.contains("tokens") else { return nil }
      return Finding(reason: "embedding", evidence: "its name, and it is no weight of a module")
    }
    let module = CheckpointModules.module(of: info.name)
    guard isNamed, modules.tensors(in: module).count == 1 else { return nil }
    return Finding(reason: "embedding", evidence: "its name, and no bias beside it")
  }

  /// A few numbers for each attention head: biases of relative positions, decay rates.
  private func biasOfHeads(_ info: TensorInfo, _ name: TensorName) -> Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    guard let heads = [columns, rows].first(where: sizes.heads.contains) else { return nil }
    let other = heads == columns ? rows : columns
    let isWidth = other == width || sizes.layerSizes.contains(other)
    // A vector of the model's width that is stored head by head has [heads, width / heads].
    let isVector =
      name.isBareParameter
      && (heads.multipliedReportingOverflow(by: other).partialValue == width
        || sizes.modelWidths.contains(heads &* other))
    guard isVector || (!isWidth && width > 0 && info.elementCount <= width / 4 * width) else { return nil }
    return Finding(
      reason: "numbers of heads",
      evidence: "\(heads) \(heads == columns ? "columns" : "rows"), one for each attention head")
  }
}
