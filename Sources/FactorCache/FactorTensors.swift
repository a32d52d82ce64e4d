import ShardIO
import Weights

/// The tensors that hold the factors of one matrix, or of all experts of a stack: their names and shapes (docs/reference/formats.md).
package struct FactorTensors: Equatable {
  /// The name of the output, to which `.u`, `.s` and `.vt` are added.
  package let name: String
  /// The number of rows of the matrix, or of each expert's.
  package let rows: Int
  /// The number of columns of the matrix, or of each expert's.
  package let columns: Int
  /// The number of experts of a stack; nil if there is none.
  package let experts: Int?
  /// The number of triplets of each matrix.
  package let count: Int

  package init(name: String, rows: Int, columns: Int, experts: Int?, count: Int) {
    (self.name, self.rows, self.columns, self.experts, self.count) = (name, rows, columns, experts, count)
  }

  /// The name of U, [m, r].
  package var leftName: String { name + ".u" }
  /// The name of σ, [r].
  package var valuesName: String { name + ".s" }
  /// The name of Vᵀ, [r, n].
  package var rightName: String { name + ".vt" }

  /// The tensors in the order in which they are laid out.
  package func layout(_ dtype: FactorType) -> [ShardLayout.Tensor] {
    let stack = experts.map { [$0] } ?? []
    return [
      ShardLayout.Tensor(name: leftName, dtype: dtype.stored, shape: stack + [rows, count]),
      ShardLayout.Tensor(name: valuesName, dtype: .f32, shape: stack + [count]),
      ShardLayout.Tensor(name: rightName, dtype: dtype.stored, shape: stack + [count, columns]),
    ]
  }
}

extension FactorTensors {
  /// The factors of the matrices of one output.
  ///
  /// - Parameter count: the number of triplets of each matrix.
  package init(_ output: Catalog.Output, in catalog: Catalog, count: Int) {
    let matrices = output.ordinals.map { catalog.matrices[$0] }
    let isStack = catalog.tensors[output.tensor].content.experts != nil
    self.init(
      name: output.name, rows: matrices.first?.rows ?? 0, columns: matrices.first?.columns ?? 0,
      experts: isStack ? matrices.count : nil, count: count)
  }
}
