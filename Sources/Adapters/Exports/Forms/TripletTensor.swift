import ShardIO

/// A tensor of an adapter that is made of the singular triplets of one matrix.
struct TripletTensor: Sendable {
  /// What the tensor holds, in the order of its elements.
  enum Content: Sendable {
    /// Scaled singular vectors of one side.
    case vectors(Vectors)
    /// The singular values, scaled, once for each sign.
    case values(Weight, signs: [Double] = [1])
    /// Zeros.
    case zeros
    /// Random numbers of mean 0 and variance 1/r, where r is the rank.
    case projections
    /// The rows, or the columns, of the entries of SVFT's M.
    case entries(isRow: Bool)
  }

  /// Scaled singular vectors.
  struct Vectors: Sendable {
    /// Whether they are left vectors, u_k; else right ones, v_k.
    let isLeft: Bool
    /// Whether a vector is a row of the tensor; else it is a column.
    let isRow: Bool
    /// What a vector is multiplied by.
    let weight: Weight
    /// The signs of the blocks of vectors, one block for each.
    var signs: [Double] = [1]
  }

  /// A factor that follows from σ.
  enum Weight: Sendable {
    case one
    /// σ.
    case value
    /// √(σ ÷ s).
    case root(over: Double)

    func callAsFunction(_ value: Double) -> Double {
      switch self {
      case .one: 1
      case .value: value
      case .root(let divisor): (value / divisor).squareRoot()
      }
    }
  }

  let name: String
  let dtype: DType
  let shape: [Int]
  let content: Content

  /// The tensor as a file lays it out.
  var layout: ShardLayout.Tensor { ShardLayout.Tensor(name: name, dtype: dtype, shape: shape) }
}

/// A part of the weights that is taken out of the base: factor · Σ_k (left_k · middle_k · right_kᵀ), of the tensors as they are stored.
struct TakenPart: Sendable {
  let left: TripletTensor.Weight
  let middle: TripletTensor.Weight
  let right: TripletTensor.Weight
  let factor: Double
}

/// What a method writes of one matrix.
struct AdapterForm: Sendable {
  /// The tensors, in the order in which they are written.
  let tensors: [TripletTensor]
  /// The part that its base lacks; nil if the base stays as it is.
  let taken: TakenPart?
}
