import RunCore
import ShardIO

/// What a document says about a matrix that is a part of a stored tensor: an expert of a stack, or a part of a fused projection.
package struct RecordedSlice: Codable, Sendable, Equatable {
  /// The shape of the stored tensor.
  package var shape: [Int]
  /// The position of the expert in the stack, from 0; nil if the tensor is no stack.
  @ExplicitNull package var expert: Int?
  /// The fused part, `q`, `k`, `v`, `gate` or `up`; nil if the tensor was not split.
  @ExplicitNull package var part: String?
  /// The rows of the stored matrix that belong to this matrix.
  package var rows: IndexRuns
  /// The columns of the stored matrix that belong to this matrix.
  package var columns: IndexRuns

  package init(shape: [Int], expert: Int?, part: String?, rows: IndexRuns, columns: IndexRuns) {
    self.shape = shape
    self.expert = expert
    self.part = part
    self.rows = rows
    self.columns = columns
  }
}

extension Catalog {
  /// Where a matrix lies in its tensor, for a document; nil if the matrix is the whole tensor.
  package func recordedSlice(of matrix: Matrix) -> RecordedSlice? {
    guard matrix.expert != nil || matrix.part != nil else { return nil }
    let (shape, slice) = (tensors[matrix.tensor].shape, matrix.slice)
    // Experts that are fused in a tensor of rank 2 lie one below the other.
    let first = shape.count == 2 ? slice.slab * slice.storedRows : 0
    return RecordedSlice(
      shape: shape, expert: matrix.expert, part: matrix.part, rows: slice.rows.moved(down: first),
      columns: slice.columns)
  }
}
