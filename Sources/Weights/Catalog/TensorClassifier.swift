import ShardIO

/// A tensor of a checkpoint with its class and the matrices in it.
package struct ClassifiedTensor: Sendable {
  package let tensor: CheckpointTensor
  /// The class, with the patterns of `--include` and `--exclude` applied.
  package let tensorClass: TensorClass
  private let storage: Storage

  /// The matrices out of line, since a checkpoint may have a million tensors, most of which hold no matrix.
  private enum Storage: Sendable {
    case nothing
    indirect case matrices(MatrixContent)
  }

  init(tensor: CheckpointTensor, tensorClass: TensorClass, content: MatrixContent?) {
    self.tensor = tensor
    self.tensorClass = tensorClass
    storage = content.map { .matrices($0) } ?? .nothing
  }

  /// How the tensor is cut into matrices; nil if it is skipped or refused.
  var content: MatrixContent? { if case .matrices(let content) = storage { content } else { nil } }
  /// The number of matrices in the tensor.
  package var matrixCount: Int { content?.matrixCount ?? 0 }
}

/// Finds the class of tensors from their names, types and shapes, the tensors beside them, and config.json.
///
/// The first rule that applies decides, in this order:
///
/// 1. `--exclude` leaves a tensor out, even one that would be refused.
/// 2. Names of packed formats, LoRA adapters and mxfp4 scales are refused.
/// 3. With tied embeddings, embeddings and heads of the first token embedding's shape and type are skipped, except that embedding.
/// 4. Names of embeddings, heads, routers, biases, scales and constants are skipped, unless `--include` names the tensor.
/// 5. The number of dimensions decides: 2 for a matrix, 3 for a stack of experts, 4 for a convolution.
/// 6. Types that cannot be decoded, sizes that are too small, and scales that are missing or do not fit, skip or refuse the tensor.
///
/// So `model.embed_tokens.weight` is skipped (4), and `--include 'model.embed_tokens.*'` makes it a matrix (5). A tensor of class matrix,
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

  init(_ checkpoint: Checkpoint, options: CatalogOptions, config: ModelConfig) {
    self.options = options
    self.config = config
    self.checkpoint = checkpoint
    takesConvolutions = options.conv ?? config.isVision
    tiedTo =
      config.tiesEmbeddings == true
      ? checkpoint.tensors.first { $0.info.shape.count == 2 && TensorName($0.info.name).isTokenEmbedding }?.info : nil
  }

  /// Classifies one tensor of the checkpoint.
  func classify(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    let name = TensorName(info.name)
    if options.filter.excludes(info.name) { return leftOut(tensor, .skipped(reason: "excluded")) }
    if let method = name.packedFormat {
      return leftOut(
        tensor, .refused(reason: "belongs to \(method) checkpoint, whose weights are packed or adapters"))
    }
    if let blocks = codes(scaledBy: info.name) {
      return leftOut(tensor, .refused(reason: "scales the packed weights \(quoted(blocks)) of an mxfp4 checkpoint"))
    }
    if let tied = tie(of: info, name) { return leftOut(tensor, .skipped(reason: "tied to \(quoted(tied))")) }
    let isIncluded = options.filter.includes(info.name)
    if !isIncluded, let reason = name.reasonToSkip { return leftOut(tensor, .skipped(reason: reason)) }
    switch info.shape.count {
    case ...1: return leftOut(tensor, .skipped(reason: info.shape.isEmpty ? "scalar" : "vector"))
    case 2: return matrix(tensor, rows: info.shape[0], columns: info.shape[1], experts: nil, isIncluded: isIncluded)
    case 3 where name.isUnderExperts || isIncluded:
      return matrix(
        tensor, rows: info.shape[1], columns: info.shape[2], experts: info.shape[0], isIncluded: isIncluded)
    case 4 where takesConvolutions || isIncluded: return convolution(tensor)
    default: return other(tensor)
    }
  }

  /// Classifies a tensor that holds a matrix of `rows × columns`, or one for each of `experts`.
  private func matrix(
    _ tensor: CheckpointTensor, rows: Int, columns: Int, experts: Int?, isIncluded: Bool
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
      switch findScale(of: info, rows: rows, columns: columns, experts: experts) {
      case .found(let found): scale = found
      case .none where isIncluded: break
      case .none:
        return leftOut(
          tensor,
          .refused(
            reason: "holds \(info.dtype.rawValue) weights and there is no \(quoted(info.name + "_scale_inv")) or "
              + "\(quoted(info.name + "_scale")) to multiply them by",
            remedy: "if they are the weights themselves, --include it; otherwise leave it out with --exclude"))
      case .unfit(let reason): return leftOut(tensor, .refused(reason: reason))
      }
    }
    let tensorClass: TensorClass = experts != nil ? .stack : scale != nil ? .dequantized : .matrix
    return cut(tensor, tensorClass, rows: rows, columns: columns, experts: experts, scale: scale)
  }

  /// Cuts a tensor into its experts, and these into their fused parts if that is asked for.
  private func cut(
    _ tensor: CheckpointTensor, _ tensorClass: TensorClass, rows: Int, columns: Int, experts: Int?, scale: WeightScale?
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
      content: MatrixContent(rows: rows, columns: columns, experts: experts, parts: parts ?? [whole], scale: scale))
  }

  /// Classifies a tensor of rank 4, which is taken as outputs × (inputs · height · width).
  private func convolution(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    guard info.dtype.isDecodable, !info.dtype.isEightBit else { return other(tensor) }
    guard info.elementCount > 0 else { return leftOut(tensor, .skipped(reason: "empty")) }
    // The product of all dimensions was computed without overflow, and it is not 0. So this product of some of them cannot overflow.
    let (rows, columns) = (info.shape[0], info.shape[1...].reduce(1, *))
    guard rows >= 2, columns >= 2 else { return leftOut(tensor, .skipped(reason: "one row or column")) }
    return cut(tensor, .conv, rows: rows, columns: columns, experts: nil, scale: nil)
  }

  /// Classifies a tensor that is neither a matrix nor a stack or convolution that counts: it is skipped or refused.
  private func other(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    if info.dtype.isDecodable { return leftOut(tensor, .skipped(reason: "rank \(info.shape.count)")) }
    if info.dtype.isEightBit {
      return leftOut(tensor, .refused(reason: "holds \(info.dtype.rawValue) weights, which cannot be decoded"))
    }
    // Integers with a scale beside them are the codes of quantized weights.
    if TensorName(info.name).leaf == "weight", info.shape.count >= 2,
      let scale = ["_scale", "_scale_inv", "_scale_2"].lazy.map({ info.name + $0 }).first(where: {
        checkpoint.tensor(named: $0) != nil
      }) ?? scaleBeside(info.name)
    {
      return leftOut(
        tensor,
        .refused(
          reason: "belongs to a \(config.quantization.map { "\(quoted($0)) " } ?? "quantized ")checkpoint: "
            + "\(info.dtype.rawValue) codes, scaled by \(quoted(scale))"))
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

  /// The name of a scale that belongs to the module of a `weight`; nil if there is none.
  private func scaleBeside(_ name: String) -> String? {
    guard let module = String(name.utf8.dropLast("weight".utf8.count)) else { return nil }
    return ["scales", "SCB"].map { module + $0 }.first { checkpoint.tensor(named: $0) != nil }
  }

  /// The scale of 8-bit weights, or the reason why it does not fit them.
  private enum ScaleFinding {
    case found(WeightScale)
    case none
    case unfit(reason: String)
  }

  private func findScale(of info: TensorInfo, rows: Int, columns: Int, experts: Int?) -> ScaleFinding {
    for suffix in ["_scale_inv", "_scale"] {
      guard let tensor = checkpoint.tensor(named: info.name + suffix) else { continue }
      let block = config.scaleBlock ?? WeightScale.defaultBlock
      guard let scale = WeightScale(tensor, rows: rows, columns: columns, experts: experts, block: block) else {
        let size = block.map(String.init).joined(separator: " × ")
        return .unfit(
          reason:
            "has the shape \(info.shape), and its scale \(quoted(tensor.info.name)), \(tensor.info.dtype.rawValue) "
            + "\(shown(tensor.info.shape)), is not one value, one for each row, or one for each block of \(size)")
      }
      return .found(scale)
    }
    return .none
  }

  /// The name of the tensor that stands for this one because embeddings are tied; nil if this one stands for itself.
  private func tie(of info: TensorInfo, _ name: TensorName) -> String? {
    guard let tiedTo, tiedTo.shape == info.shape, tiedTo.dtype == info.dtype,
      ExactName(tiedTo.name) != ExactName(info.name),
      name.isTokenEmbedding || name.isOutputHead
    else { return nil }
    return tiedTo.name
  }

  private func leftOut(_ tensor: CheckpointTensor, _ tensorClass: TensorClass) -> ClassifiedTensor {
    ClassifiedTensor(tensor: tensor, tensorClass: tensorClass, content: nil)
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
