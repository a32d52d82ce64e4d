import DistSVD

/// A method of fine-tuning that starts from the singular triplets of each weight matrix.
///
/// The order of the cases is the order in which methods are exported and recorded, whatever the order in which they are asked for.
package enum ExportMethod: String, Codable, Sendable, CaseIterable, Comparable {
  /// Singular vectors that stay, and a sparse matrix between them that is trained (Lingam and others 2024).
  case svft
  /// The leading triplets, of which the singular values are trained (Sun and others 2024).
  case svfit
  /// The leading triplets are trained in place of that part of the weights (Zhang and Pilanci 2024).
  case spectralAdditive = "spectral-additive"
  /// The leading singular vectors are turned (Zhang and Pilanci 2024).
  case spectralRotation = "spectral-rotation"
  /// Some square blocks of weights are trained, those of the largest gradient (He and others 2025).
  case smt
  /// LoRA that starts from the leading triplets, on a base without them (Meng, Wang and Zhang 2024).
  case pissa
  /// LoRA that starts from the trailing triplets, on a base without them (Wang and others 2024).
  case milora
  /// LoRA whose B is made of the trailing left vectors and stays; A is trained, from zero.
  case mica
  /// A square matrix between factors of the leading triplets is trained (Bałazy and others 2024).
  case loraXS = "lora-xs"
  /// A few numbers, projected to a square matrix between factors of the leading triplets, are trained.
  case tinylora

  package static func < (left: Self, right: Self) -> Bool { left.position < right.position }

  private var position: Int { Self.allCases.firstIndex(of: self) ?? 0 }

  /// The rank that the authors use; nil if the method takes all triplets, or none.
  package var usualRank: Int? {
    switch self {
    case .svft, .smt: nil
    case .svfit: 768
    case .spectralAdditive, .spectralRotation: 8
    case .pissa, .milora: 128
    case .mica: 32
    case .loraXS: 64
    case .tinylora: 2
    }
  }

  /// The triplets of rank `rank` that the method starts from, where it has ranks.
  func triplets(rank: Int) -> Triplets {
    switch self {
    case .svft, .smt: .all
    case .milora, .mica: .trailing(rank)
    default: .leading(rank)
    }
  }

  /// Whether the method's own start takes a part out of the weights, so that it needs a base of its own.
  package var changesBase: Bool { self == .pissa || self == .milora || self == .spectralAdditive }

  /// Whether PEFT's form of the method has no way to a module that is named as experts' matrices are.
  ///
  /// PEFT takes such a name for all experts, unless a LoRA names the weight itself, which MiCA cannot.
  func leavesOut(_ target: ExportTarget) -> Bool { self == .mica && target.isNamedAsExpert }

  /// Whether PEFT finds the module only by the name of its weight.
  ///
  /// In a model with experts, PEFT takes a LoRA target with the last piece of an expert's matrix for all experts.
  func usesParameter(of target: ExportTarget) -> Bool {
    (self == .pissa || self == .milora) && target.isNamedAsExpert
  }

  /// Whether PEFT loads what is exported; what it does not load, frogmask trains.
  package var isForPEFT: Bool {
    switch self {
    case .svfit, .spectralAdditive, .pissa, .milora, .mica, .tinylora: true
    case .svft, .spectralRotation, .smt, .loraXS: false
    }
  }
}
