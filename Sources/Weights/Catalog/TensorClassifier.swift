import ShardIO

/// A tensor of a checkpoint and what becomes of it.
package struct ClassifiedTensor: Sendable {
  /// The tensor.
  package let tensor: CheckpointTensor
  /// What it is to FROG once the filter has spoken.
  package let tensorClass: TensorClass
  private let storage: Storage

  /// Out of line: most tensors of a large checkpoint may hold no matrix, and there may be a million.
  private enum Storage: Sendable {
    case nothing
    indirect case matrices(MatrixContent)
  }

  init(tensor: CheckpointTensor, tensorClass: TensorClass, content: MatrixContent?) {
    self.tensor = tensor
    self.tensorClass = tensorClass
    storage = content.map { .matrices($0) } ?? .nothing
  }

  /// The matrices in it; nil if it does not count.
  var content: MatrixContent? { if case .matrices(let content) = storage { content } else { nil } }
  /// How many matrices it holds.
  package var matrixCount: Int { content?.matrixCount ?? 0 }
}

/// Tells what tensors are, from names, types and shapes, the tensors beside them, and config.json.
struct TensorClassifier {
  /// A file of holes could claim billions, each of which costs memory.
  static let mostExperts = 1 << 16

  private let options: CatalogOptions
  private let config: ModelConfig
  private let checkpoint: Checkpoint
  /// With tied embeddings: the one tensor that counts for all tensors of its shape and type.
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

  /// A matrix, or one for each expert of a stack.
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

  /// Cuts a tensor into its experts, and these into what is fused in them.
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

  private func convolution(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    guard info.dtype.isDecodable, !info.dtype.isEightBit else { return other(tensor) }
    guard info.elementCount > 0 else { return leftOut(tensor, .skipped(reason: "empty")) }
    // The elements of the tensor were counted without overflow, so those of a part can be.
    let (rows, columns) = (info.shape[0], info.shape[1...].reduce(1, *))
    guard rows >= 2, columns >= 2 else { return leftOut(tensor, .skipped(reason: "one row or column")) }
    return cut(tensor, .conv, rows: rows, columns: columns, experts: nil, scale: nil)
  }

  /// What has no place in the other classes.
  private func other(_ tensor: CheckpointTensor) -> ClassifiedTensor {
    let info = tensor.info
    if info.dtype.isDecodable { return leftOut(tensor, .skipped(reason: "rank \(info.shape.count)")) }
    if info.dtype.isEightBit {
      return leftOut(tensor, .refused(reason: "holds \(info.dtype.rawValue) weights, which cannot be decoded"))
    }
    // Integers with a scale beside them are weights in disguise.
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

  /// Of mxfp4, `T_blocks` of `T_scales`.
  private func codes(scaledBy name: String) -> String? {
    let suffix = "_scales".utf8
    guard name.utf8.suffix(suffix.count).elementsEqual(suffix), let stem = String(name.utf8.dropLast(suffix.count))
    else {
      return nil
    }
    let blocks = stem + "_blocks"
    return checkpoint.tensor(named: blocks) == nil ? nil : blocks
  }

  private func scaleBeside(_ name: String) -> String? {
    guard let module = String(name.utf8.dropLast("weight".utf8.count)) else { return nil }
    return ["scales", "SCB"].map { module + $0 }.first { checkpoint.tensor(named: $0) != nil }
  }

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

  /// The tensor that stands for this one.
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
  /// Floating point of 8 bits, which needs a scale.
  package var isEightBit: Bool {
    switch self {
    case .f8E4M3, .f8E5M2, .f8E4M3FNUZ, .f8E5M2FNUZ: true
    default: false
    }
  }
}
