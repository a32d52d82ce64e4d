import ShardIO

/// A matrix with everything that decides what a method writes of it.
struct MethodTarget {
  let target: ExportTarget
  /// The number of triplets.
  let rank: Int
  /// The largest number of triplets of a target.
  let largestRank: Int
  /// α ÷ r, by which PEFT multiplies LoRA's product.
  let scale: Double
  /// Whether the base stays as it is though the method would change it.
  let keepsBase: Bool
  /// The type of vectors in folders that frogmask reads.
  let dtype: DType

  /// The size of the layer's input.
  var inputs: Int { target.isTransposed ? target.rows : target.columns }
  /// The size of the layer's output.
  var outputs: Int { target.isTransposed ? target.columns : target.rows }
}

extension ExportMethod {
  /// What PEFT puts in front of the names of modules.
  static let prefix = "base_model.model."
  /// What PEFT's AdaLoRA adds to the rank that it divides by.
  static let adaLoRAGuard = 1e-5

  /// What the method writes of a matrix.
  func form(_ matrix: MethodTarget, _ entries: SparseEntries) -> AdapterForm {
    guard !leavesOut(matrix.target) else { return AdapterForm(tensors: [], taken: nil) }
    switch self {
    case .pissa, .milora: return matrix.split()
    case .mica: return AdapterForm(tensors: matrix.pair(input: nil, output: .one), taken: nil)
    case .svfit: return matrix.adaLoRA(value: nil)
    case .spectralAdditive: return matrix.adaLoRA(value: .value)
    case .tinylora: return matrix.tinyLoRA()
    case .loraXS: return matrix.loraXS()
    case .spectralRotation: return matrix.rotation()
    case .svft: return matrix.svft(entries)
    case .smt: return AdapterForm(tensors: [], taken: nil)
    }
  }
}

extension MethodTarget {
  private var path: String { ExportMethod.prefix + target.module }

  private func vectors(
    _ name: String, ofInput: Bool, isRow: Bool, _ weight: TripletTensor.Weight, signs: [Double] = [1],
    dtype: DType = .f32
  ) -> TripletTensor {
    vectors(
      name, isLeft: ofInput == target.isTransposed, isRow: isRow, weight, signs: signs, dtype: dtype)
  }

  private func vectors(
    _ name: String, isLeft: Bool, isRow: Bool, _ weight: TripletTensor.Weight, signs: [Double] = [1], dtype: DType
  ) -> TripletTensor {
    let (dimension, count) = (isLeft ? target.rows : target.columns, rank * signs.count)
    return TripletTensor(
      name: name, dtype: dtype, shape: isRow ? [count, dimension] : [dimension, count],
      content: .vectors(.init(isLeft: isLeft, isRow: isRow, weight: weight, signs: signs)))
  }

  /// LoRA's pair: A, [r, inputs], and B, [outputs, r].
  ///
  /// - Parameter input: what the rows of A are; nil for zeros.
  fileprivate func pair(input: TripletTensor.Weight?, output: TripletTensor.Weight) -> [TripletTensor] {
    let name = path + ".lora_A.weight"
    return [
      input.map { vectors(name, ofInput: true, isRow: true, $0) }
        ?? TripletTensor(name: name, dtype: .f32, shape: [rank, inputs], content: .zeros),
      vectors(path + ".lora_B.weight", ofInput: false, isRow: false, output),
    ]
  }

  /// LoRA whose product is the triplets themselves: √(σ/s) on both sides, where PEFT multiplies by s = α/r.
  ///
  /// For an unchanged base, a second half takes the product away again, so that training starts from the base.
  fileprivate func split() -> AdapterForm {
    let root = TripletTensor.Weight.root(over: scale)
    guard keepsBase else {
      return AdapterForm(
        tensors: pair(input: root, output: root),
        taken: TakenPart(left: root, middle: .one, right: root, factor: scale))
    }
    return AdapterForm(
      tensors: [
        vectors(path + ".lora_A.weight", ofInput: true, isRow: true, root, signs: [1, 1]),
        vectors(path + ".lora_B.weight", ofInput: false, isRow: false, root, signs: [1, -1]),
      ], taken: nil)
  }

  /// The container of AdaLoRA, whose product B·(A∘E) PEFT multiplies by α ÷ (r + 1e-5), where α and r are the largest rank.
  ///
  /// For an unchanged base, a second half takes the product away again, so that training starts from the base.
  ///
  /// - Parameter value: what E is; nil for zeros, which leave the base as it is.
  fileprivate func adaLoRA(value: TripletTensor.Weight?) -> AdapterForm {
    let isDoubled = keepsBase && value != nil
    let copies: [Double] = isDoubled ? [1, 1] : [1]
    return AdapterForm(
      tensors: [
        vectors(path + ".lora_A", ofInput: true, isRow: true, .one, signs: copies),
        vectors(path + ".lora_B", ofInput: false, isRow: false, .one, signs: copies),
        TripletTensor(
          name: path + ".lora_E", dtype: .f32, shape: [rank * copies.count, 1],
          content: value.map { .values($0, signs: isDoubled ? [1, -1] : [1]) } ?? .zeros),
      ],
      taken: isDoubled
        ? nil
        : value.map {
          TakenPart(
            left: .one, middle: $0, right: .one,
            factor: Double(largestRank) / (Double(largestRank) + ExportMethod.adaLoRAGuard))
        })
  }

  /// TinyLoRA's frozen factors, √Σ·Vᵀ and U·√Σ, and the projections between them.
  fileprivate func tinyLoRA() -> AdapterForm {
    AdapterForm(
      tensors: [
        vectors(path + ".tinylora_A", ofInput: true, isRow: true, .root(over: 1)),
        vectors(path + ".tinylora_B", ofInput: false, isRow: false, .root(over: 1)),
        TripletTensor(
          name: path + ".tinylora_P", dtype: .f32, shape: [TinyLoRA.trained, rank, rank], content: .projections),
      ], taken: nil)
  }

  /// LoRA-XS as its authors name it: Σ·Vᵀ and U, in the orientation of the checkpoint.
  fileprivate func loraXS() -> AdapterForm {
    AdapterForm(
      tensors: [
        vectors(path + ".lora_A.weight", isLeft: false, isRow: true, .value, dtype: dtype),
        vectors(path + ".lora_B.weight", isLeft: true, isRow: false, .one, dtype: dtype),
      ], taken: nil)
  }

  private var weightPath: String { String(target.tensor.dropLast(".weight".count)) }

  /// U, S and V of the rotation, in the orientation of the checkpoint.
  fileprivate func rotation() -> AdapterForm {
    AdapterForm(
      tensors: [
        vectors(weightPath + ".U", isLeft: true, isRow: false, .one, dtype: dtype),
        TripletTensor(name: weightPath + ".S", dtype: .f32, shape: [rank], content: .values(.value)),
        vectors(weightPath + ".V", isLeft: false, isRow: false, .one, dtype: dtype),
      ], taken: nil)
  }

  /// SVFT's U, Σ and Vᵀ, and where M has its entries.
  fileprivate func svft(_ entries: SparseEntries) -> AdapterForm {
    let layer = weightPath + ".svft_layer"
    let count = entries.count(order: target.order)
    func positions(_ name: String, isRow: Bool) -> TripletTensor {
      TripletTensor(name: "\(layer).\(name)", dtype: .i64, shape: [count], content: .entries(isRow: isRow))
    }
    return AdapterForm(
      tensors: [
        vectors(layer + ".u", isLeft: true, isRow: false, .one, dtype: dtype),
        TripletTensor(name: layer + ".s_pre", dtype: .f32, shape: [rank], content: .values(.value)),
        vectors(layer + ".v", isLeft: false, isRow: true, .one, dtype: dtype),
        positions("s_row", isRow: true), positions("s_col", isRow: false),
      ], taken: nil)
  }
}
