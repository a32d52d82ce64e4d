import ShardIO

/// Finds weights that are stored as codes: integers, or floating point of fewer than eight bits, which stand for weights by way of scales,
/// zero points or codebooks beside them.
///
/// A tensor holds codes by what it is and where it stands, whatever the format is called:
///
/// - config.json names a quantization that no weights of 8-bit floating point explain, or
/// - scales and the like lie beside the tensor, or
/// - it is called `weight`, or tensors of its name hold floating point elsewhere, or
/// - such tensors hold a tenth of all bytes.
///
/// Tables of indices and masks are integers too. Indices have 32 or 64 bits, and may lie beside a scale of something else: they are codes
/// only where config.json or their size says so as well.
struct PackedWeights {
  private let modules: CheckpointModules
  /// The method that config.json names; nil if it names none.
  private let method: String?
  /// Whether weights of 8-bit floating point are what that method has made.
  private let isMethodExplained: Bool
  /// Whether codes hold so many bytes that they must be what the model is made of.
  private let holdsBulk: Bool
  /// Whether integers of 64 bits do.
  private let holdsWideBulk: Bool
  /// The names without numbers of tensors that hold floating point.
  private let floats: Set<ExactName>
  /// The modules that hold codes, with the name of one tensor of codes in each.
  private var codes: [NameTree.Node: String] = [:]

  /// - Complexity: O(n) for n tensors, and O(bytes of all names) if some may be codes.
  init(_ tensors: [CheckpointTensor], modules: CheckpointModules, method: String?) {
    self.modules = modules
    var (narrow, wide, all) = (0.0, 0.0, 0.0)
    self.method = method
    var isExplained = false
    for info in tensors.lazy.map(\.info) {
      let bytes = Double(info.byteRange.count)
      all += bytes
      guard Self.isMatrix(info) else { continue }
      if info.dtype.isCode { narrow += bytes }
      if info.dtype == .i64 || info.dtype == .u64 { wide += bytes }
      let isWeight = info.dtype.isEightBit && !CheckpointModules.words(of: info).contains { $0.hasPrefix("scale") }
      isExplained = isExplained || isWeight
    }
    isMethodExplained = isExplained
    holdsBulk = narrow >= 0.1 * all && narrow > 0
    holdsWideBulk = wide >= 0.1 * all && wide > 0
    let suspects = tensors.indices.filter { Self.canBeCode(tensors[$0].info) }
    floats =
      suspects.isEmpty
      ? []
      : Set(
        tensors.lazy.map(\.info).filter { $0.dtype.isFloatingPoint && $0.shape.count >= 2 }
          .map { Self.pattern(of: $0.name) })
    for index in suspects {
      let path = modules.tree.path(ofTensor: index)
      if reason(ofCodes: tensors[index].info, path) != nil {
        codes[modules.tree.parent(of: path.node)] = tensors[index].info.name
      }
    }
  }

  /// A name with `#` in place of its numbers, which is the same for the same matrix of all layers.
  private static func pattern(of name: String) -> ExactName {
    let pieces = TensorName(name).parts.map { TensorName.isNumber($0) ? "#" : $0.string }
    return ExactName(pieces.joined(separator: "."))
  }

  /// The reason why a tensor is refused as codes, or as what belongs to codes; nil if it is neither.
  func reason(_ info: TensorInfo, _ path: TensorPath) -> String? {
    if Self.canBeCode(info) { return reason(ofCodes: info, path) }
    guard !codes.isEmpty, info.shape.count >= 2, info.dtype.isFloatingPoint else { return nil }
    let module = modules.tree.parent(of: path.node)
    guard module != NameTree.root, let packed = codes[module] ?? codes[modules.tree.parent(of: module)] else {
      return nil
    }
    return "stands beside the packed weights \(quoted(packed)), and belongs to them"
  }

  private func reason(ofCodes info: TensorInfo, _ path: TensorPath) -> String? {
    let kind = "\(info.dtype.rawValue) codes"
    let isIndexLike = [.i32, .u32, .i64, .u64].contains(info.dtype) && path.leaf != "weight"
    let isMethodOpen = method != nil && !isMethodExplained
    let isSure = !isIndexLike || isMethodOpen || (info.dtype.isCode ? holdsBulk : holdsWideBulk)
    if isSure, let scale = Self.companion(among: modules.neighbours(of: info, path)) {
      return "belongs to \(checkpointKind): \(kind), scaled by \(quoted(scale.name))"
    }
    let isNarrow = info.dtype.isCode && Self.isMatrix(info)
    let isWeight = path.leaf == "weight" && Self.isMatrix(info)
    if isMethodOpen, isNarrow || isWeight { return "belongs to \(checkpointKind): \(kind)" }
    if isWeight { return "holds \(kind) where weights should be" }
    if isNarrow, floats.contains(Self.pattern(of: info.name)) {
      return "holds \(kind), and tensors of its name elsewhere hold weights"
    }
    return isNarrow && holdsBulk ? "holds \(kind), of which most of this checkpoint is made" : nil
  }

  private var checkpointKind: String { "a \(method.map { "\(quoted($0)) " } ?? "quantized ")checkpoint" }

  /// Whether a type and shape leave it open that a tensor holds codes.
  private static func canBeCode(_ info: TensorInfo) -> Bool {
    guard info.elementCount > 1 else { return false }
    switch info.dtype {
    case .f64, .f32, .f16, .bf16, .f8E4M3, .f8E5M2, .f8E4M3FNUZ, .f8E5M2FNUZ, .f8E8M0, .bool, .c64: return false
    default: return info.shape.count >= 2 || info.elementCount >= 1 << 12
    }
  }

  /// Whether a tensor has two dimensions or more, not counting those of 1, or is as large as a matrix.
  private static func isMatrix(_ info: TensorInfo) -> Bool {
    info.shape.count { $0 > 1 } >= 2 || info.elementCount >= 1 << 16
  }

  /// The scale, zero point or codebook among the neighbours of a tensor; nil if there is none.
  private static func companion(among neighbours: [TensorInfo]) -> TensorInfo? {
    func isSign(_ word: String) -> Bool {
      ["scale", "zero", "absmax", "codebook", "centroid"].contains { word.contains($0) } || word == "scb"
        || word == "lut"
    }
    // The scale of something else, such as `logit_scale` or `input_scale`, has words for that.
    func isCompanion(_ info: TensorInfo) -> Bool {
      let words = CheckpointModules.words(of: info)
      return words.contains(where: isSign)
        && words.allSatisfy {
          isSign($0) || $0.contains("weight") || $0.utf8.count <= 2
            || ["inv", "point", "points", "block", "group", "global", "channel", "row"].contains($0)
        }
    }
    let found = neighbours.filter(isCompanion)
    return found.first { CheckpointModules.words(of: $0).contains { $0.contains("scale") } } ?? found.first
  }
}

extension DType {
  /// Whether the type is one in which codes are packed: integers of up to 32 bits, and floating point below eight bits.
  fileprivate var isCode: Bool {
    switch self {
    case .u8, .i8, .i16, .u16, .i32, .u32, .f4, .f6E2M3, .f6E3M2: true
    default: false
    }
  }

  /// Whether the type is floating point that stands for itself, or by way of a scale: of eight bits or more.
  var isFloatingPoint: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16: true
    default: isEightBit
    }
  }
}
