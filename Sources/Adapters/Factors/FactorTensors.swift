import ShardIO
import Weights

/// The tensors that hold the factors of one matrix, or of all experts of a stack: their names and shapes (docs/reference/formats.md).
struct FactorTensors: Equatable {
  /// The name of the output, to which `.u`, `.s` and `.vt` are added.
  let name: String
  /// The number of rows of the matrix, or of each expert's.
  let rows: Int
  /// The number of columns of the matrix, or of each expert's.
  let columns: Int
  /// The number of experts of a stack; nil if there is none.
  let experts: Int?
  /// The number of triplets of each matrix.
  let count: Int

  /// The name of U, [m, r].
  var leftName: String { name + ".u" }
  /// The name of σ, [r].
  var valuesName: String { name + ".s" }
  /// The name of Vᵀ, [r, n].
  var rightName: String { name + ".vt" }

  /// The tensors in the order in which they are laid out.
  func layout(_ dtype: FactorType) -> [ShardLayout.Tensor] {
    let stack = experts.map { [$0] } ?? []
    return [
      ShardLayout.Tensor(name: leftName, dtype: dtype.stored, shape: stack + [rows, count]),
      ShardLayout.Tensor(name: valuesName, dtype: .f32, shape: stack + [count]),
      ShardLayout.Tensor(name: rightName, dtype: dtype.stored, shape: stack + [count, columns]),
    ]
  }
}
