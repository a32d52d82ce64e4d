import ShardIO

/// Finds the class of tensors from what the checkpoint says: types and shapes, the tensors beside them, config.json, and names.
///
/// The first rule that applies decides, in this order:
///
/// 1. `--exclude` leaves a tensor out, even one that would be refused.
/// 2. Adapters, packed weights and what belongs to them, and reparametrized weights are refused.
/// 3. With tied embeddings, embeddings and heads of the first token embedding's shape and type are skipped, except that embedding.
/// 4. Biases, scales and constants are skipped by name, unless `--include` names the tensor.
/// 5. The number of dimensions decides: 2 for a matrix, 3 for a stack of experts, 3 to 5 for a convolution. Before that, what chooses
///    experts, looks up vectors or gives the outputs is skipped, unless `--include` names it.
/// 6. Types that cannot be decoded, sizes that are too small, and scales that are missing or do not fit, skip or refuse the tensor.
///
/// So `model.embed_tokens.weight` is skipped (5), and `--include 'model.embed_tokens.*'` makes it a matrix. A tensor of class matrix,
/// dequantized, stack or conv has content, and one that is skipped or refused has none. docs/reference/tensors.md has the rules in full.
struct TensorClassifier {
  /// The largest number of experts in a stack that is believed. A sparse file could claim billions, each of which costs memory.
  static let mostExperts = 1 << 16

  private let options: CatalogOptions
  private let config: ModelConfig
  private let checkpoint: Checkpoint
  /// The first token embedding, which stands for all embeddings and heads of its shape and type; nil without tied embeddings.
  private let tiedTo: TensorInfo?
  private let takesConvolutions: Bool
  /// Why convolutions count by default; nil if they do not, or if the options decide.
  private let convolutionEvidence: String?
  /// Why every tensor is refused; nil if none is for that.
  private let adapter: String?
  private let experts: Experts
  private let tables: Tables
  private let heads: OutputHeads
  private let packed: PackedWeights
  private let reparametrizations: Reparametrizations
  private let scales: ScaleSearch
  private let layers: LayerStructure
  private let tree: NameTree

  init(_ checkpoint: Checkpoint, options: CatalogOptions, config: ModelConfig) {
    self.options = options
    self.config = config
    self.checkpoint = checkpoint
    let tensors = checkpoint.tensors
    let tree = NameTree(tensors.lazy.map(\.info.name))
    self.tree = tree
    adapter = Adapters.reason(checkpoint, tree)
    tiedTo =
      config.tiesEmbeddings == true
      ? tensors.indices.first {
        tensors[$0].info.shape.count == 2 && Tables.isTokenEmbedding(tree.path(ofTensor: $0))
      }.map { tensors[$0].info } : nil
    let modules = CheckpointModules(tensors, tree)
    layers = LayerStructure(
      tensors.lazy.map(\.info).filter { $0.shape.count >= 2 && $0.elementCount > 0 }.map { ($0.name, $0.shape) })
    experts = Experts(tensors, tree, sizes: config.sizes)
    tables = Tables(tensors, tree, sizes: config.sizes, layers: layers, modules: modules)
    heads = OutputHeads(tensors, tree, sizes: config.sizes)
    packed = PackedWeights(tensors, modules: modules, method: config.quantization)
    reparametrizations = Reparametrizations(modules)
    scales = ScaleSearch(modules: modules, block: config.scaleBlock)
    // Convolutions count by default in models of images, and where they are most of what could count.
    let (tables, heads, layers) = (tables, heads, layers)
    func isTable(_ index: Int) -> Bool {
      let (info, path) = (tensors[index].info, tree.path(ofTensor: index))
      return Self.finding(info, path, tables, heads, layers) != nil
    }
    let evidence =
      config.sizes.hasImages
      ? "\(ModelConfig.fileName) tells of images"
      : Kernels.holdMost(of: tensors, tree, isTable: isTable) ? "kernels hold most of the model" : nil
    takesConvolutions = options.conv ?? (evidence != nil)
    convolutionEvidence = options.conv == nil ? evidence : nil
  }

  /// Classifies the tensor at a position in the checkpoint.
  func classify(_ index: Int) -> ClassifiedTensor {
    let (tensor, path) = (checkpoint.tensors[index], tree.path(ofTensor: index))
    let info = tensor.info
    if options.filter.excludes(info.name) { return leftOut(tensor, .skipped(reason: "excluded")) }
    if let refusal = refusal(info, path) { return leftOut(tensor, refusal) }
    if let tied = tie(of: info, path) { return leftOut(tensor, .skipped(reason: "tied to \(quoted(tied))")) }
    let isIncluded = options.filter.includes(info.name)
    if !isIncluded, let reason = TensorName.reasonToSkip(leaf: path.leaf) {
      return leftOut(tensor, .skipped(reason: reason))
    }
    if let packed = packed.reason(info, path) { return leftOut(tensor, .refused(reason: packed)) }
    guard info.shape.count >= 2 else {
      return leftOut(tensor, .skipped(reason: info.shape.isEmpty ? "scalar" : "vector"))
    }
    let classified = byShape(tensor, path, isIncluded: isIncluded)
    // Only what would count can be wrong to count.
    if classified.content != nil, let reason = reparametrizations.reason(info, path) {
      return leftOut(
        tensor,
        .refused(reason: reason, remedy: "save the checkpoint with that folded in, or leave it out with --exclude"))
    }
    return classified
  }

  /// Why a tensor is refused whatever its shape; nil if it is not.
  private func refusal(_ info: TensorInfo, _ path: TensorPath) -> TensorClass? {
    let method = path.signs.contains(.adapter) ? "a LoRA adapter" : TensorName.packedFormat(leaf: path.leaf)
    if let method {
      return .refused(reason: "belongs to \(method) checkpoint, whose weights are packed or adapters")
    }
    if let adapter {
      return .refused(reason: adapter, remedy: "merge it into its model, and give the path of that")
    }
    if let blocks = codes(scaledBy: info.name) {
      return .refused(reason: "scales the packed weights \(quoted(blocks)) of an mxfp4 checkpoint")
    }
    return nil
  }

  private func byShape(_ tensor: CheckpointTensor, _ path: TensorPath, isIncluded: Bool) -> ClassifiedTensor {
    let info = tensor.info
    switch experts.finding(info, path) {
    case .router(let evidence) where !isIncluded: return leftOut(tensor, .skipped(reason: "expert router"), evidence)
    case .vectors(let evidence) where !isIncluded: return leftOut(tensor, .skipped(reason: "bias"), evidence)
    case .inseparable(let reason): return leftOut(tensor, .refused(reason: reason))
    case .fused(let experts, let evidence):
      return matrix(
        tensor, path, rows: info.shape[0] / experts, columns: info.shape[1], experts: experts, isIncluded: isIncluded,
        evidence: evidence)
    case .stack(let experts, let evidence):
      return matrix(
        tensor, path, rows: info.shape[1], columns: info.shape[2], experts: experts, isIncluded: isIncluded,
        evidence: evidence)
    case .router, .vectors, nil: break
    }
    if !isIncluded, path.signs.contains(.otherEmbedding) {
      return leftOut(tensor, .skipped(reason: "embedding"), "its name")
    }
    switch info.shape.count {
    case 2:
      if !isIncluded, let found = Self.finding(info, path, tables, heads, layers) {
        return leftOut(tensor, .skipped(reason: found.reason), found.evidence)
      }
      return matrix(tensor, path, rows: info.shape[0], columns: info.shape[1], experts: nil, isIncluded: isIncluded)
    case 3 where isIncluded && options.conv != true:
      return matrix(
        tensor, path, rows: info.shape[1], columns: info.shape[2], experts: info.shape[0], isIncluded: true)
    case 3...5 where (takesConvolutions || isIncluded) && Kernels.isKernel(info, path): return convolution(tensor)
    default: return other(tensor)
    }
  }

  /// Why a tensor of rank 2 is no weight matrix: it looks up vectors, or gives the outputs; nil if it is one.
  private static func finding(
    _ info: TensorInfo, _ path: TensorPath, _ tables: Tables, _ heads: OutputHeads, _ layers: LayerStructure
  ) -> Tables.Finding? {
    guard info.elementCount > 0, info.dtype.isFloatingPoint else { return nil }
    let isInLayer = layers.layer(of: info.name) != nil
    return tables.finding(info, path, isInLayer: isInLayer)
      ?? heads.finding(info, path, isInLayer: isInLayer, hasLayers: layers.hasLayers)
  }

  /// Classifies a tensor that holds a matrix of `rows × columns`, or one for each of `experts`.
  private func matrix(
    _ tensor: CheckpointTensor, _ path: TensorPath, rows: Int, columns: Int, experts: Int?, isIncluded: Bool,
    evidence: String? = nil
  ) -> ClassifiedTensor {
    let info = tensor.info
    guard info.dtype.isDecodable else { return other(tensor) }
    guard info.elementCount > 0 else { return leftOut(tensor, .skipped(reason: "empty")) }
    guard rows >= 2 && columns >= 2 else {
      return leftOut(tensor, .skipped(reason: "one row or column"))
    }
    if let experts, experts > Self.mostExperts {
      return leftOut(
        tensor, .refused(reason: "is a stack of \(experts) experts; more than \(Self.mostExperts) are not believed"))
    }
    var scale: WeightScale?
    if info.dtype.isEightBit {
      switch scales.scale(
        of: info, path, rows: rows, columns: columns, experts: experts, tensor: checkpoint.tensor(named:))
      {
      case .found(let found): scale = found
      case .none where isIncluded: break
      case .none:
        return leftOut(
          tensor,
          .refused(
            reason: "holds \(info.dtype.rawValue) weights and there is no \(quoted(info.name + "_scale_inv")) or "
              + "\(quoted(info.name + "_scale")) to multiply them by"))
      case .unfit(let reason): return leftOut(tensor, .refused(reason: reason))
      }
    }
    let tensorClass: TensorClass = experts != nil ? .stack : scale != nil ? .dequantized : .matrix
    return cut(
      tensor, tensorClass, rows: rows, columns: columns, experts: experts, scale: scale,
      evidence: evidence ?? scale.map { "times \(quoted($0.name))" })
  }

  /// Cuts a tensor into its experts, and these into their fused parts if that is asked for.
  private func cut(
    _ tensor: CheckpointTensor, _ tensorClass: TensorClass, rows: Int, columns: Int, experts: Int?,
    scale: WeightScale?, evidence: String?
  ) -> ClassifiedTensor {
    var parts: [FusedParts.Part]?
    if options.splitFused {
      switch FusedParts.find(
        name: tensor.info.name, rows: rows, columns: columns, isStack: experts != nil, config: config)
      {
      case .parts(let found): parts = found
      case .unknown(let reason):
        return leftOut(
          tensor, .refused(reason: reason, remedy: "complete \(ModelConfig.fileName), or do without --split-fused"))
      case nil: break
      }
    }
    if let thin = parts?.first(where: { $0.rows.total < 2 || $0.columns.total < 2 }) {
      return leftOut(tensor, .refused(reason: "is fused, and its part \(thin.label ?? "") has one row or column"))
    }
    let whole = FusedParts.Part(label: nil, rows: .init(all: rows), columns: .init(all: columns))
    return ClassifiedTensor(
      tensor: tensor, tensorClass: tensorClass,
      content: MatrixContent(rows: rows, columns: columns, experts: experts, parts: parts ?? [whole], scale: scale),
      evidence: evidence)
  }

  /// Classifies the kernel of a convolution, which is taken as outputs × (inputs · positions).
  private func convolution(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    guard info.elementCount > 0 else { return leftOut(tensor, .skipped(reason: "empty")) }
    // The product of all dimensions was computed without overflow, and it is not 0. So this product of some of them cannot overflow.
    let (rows, columns) = (info.shape[0], info.shape[1...].reduce(1, *))
    guard rows >= 2, columns >= 2 else { return leftOut(tensor, .skipped(reason: "one row or column")) }
    return cut(
      tensor, .conv, rows: rows, columns: columns, experts: nil, scale: nil, evidence: convolutionEvidence)
  }

  /// Classifies a tensor that is neither a matrix nor a stack or convolution that counts: it is skipped or refused.
  private func other(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    if info.dtype.isFloatingPoint, info.shape.count(where: { $0 > 1 }) <= 1 {
      return leftOut(tensor, .skipped(reason: "vector"))
    }
    if info.dtype.isDecodable {
      let rank = info.shape.count <= 5 ? "rank \(info.shape.count)" : "rank above 5"
      return leftOut(tensor, .skipped(reason: rank))
    }
    if info.dtype.isEightBit {
      return leftOut(tensor, .refused(reason: "holds \(info.dtype.rawValue) weights, which cannot be decoded"))
    }
    return leftOut(tensor, .skipped(reason: "\(info.dtype.rawValue) is not a weight type"))
  }

  /// The name `T_blocks` if `name` is `T_scales` and the checkpoint has both, as mxfp4 checkpoints do.
  private func codes(scaledBy name: String) -> String? {
    let suffix = "_scales".utf8
    guard name.utf8.suffix(suffix.count).elementsEqual(suffix), let stem = String(name.utf8.dropLast(suffix.count))
    else {
      return nil
    }
    let blocks = stem + "_blocks"
    return checkpoint.tensor(named: blocks) == nil ? nil : blocks
  }

  /// The name of the tensor that stands for this one because embeddings are tied; nil if this one stands for itself.
  private func tie(of info: TensorInfo, _ path: TensorPath) -> String? {
    guard let tiedTo, tiedTo.shape == info.shape, tiedTo.dtype == info.dtype,
      ExactName(tiedTo.name) != ExactName(info.name),
      Tables.isTokenEmbedding(path) || OutputHeads.isNamed(path)
    else { return nil }
    return tiedTo.name
  }

  private func leftOut(
    _ tensor: CheckpointTensor, _ tensorClass: TensorClass, _ evidence: String? = nil
  ) -> ClassifiedTensor {
    ClassifiedTensor(tensor: tensor, tensorClass: tensorClass, evidence: evidence)
  }
}

extension DType {
  /// Whether the type is floating point of 8 bits, which needs a scale.
  package var isEightBit: Bool {
    switch self {
    case .f8E4M3, .f8E5M2, .f8E4M3FNUZ, .f8E5M2FNUZ: true
    default: false
    }
  }
}
