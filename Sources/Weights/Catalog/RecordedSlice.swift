import RunCore
import ShardIO

/// What a document says of a matrix that is a part of a stored tensor: an expert of a stack, or a fused projection.
package struct RecordedSlice: Codable, Sendable, Equatable {
  /// The shape of the stored tensor.
  package var shape: [Int]
  /// The position of the expert; nil if the tensor is no stack.
  @ExplicitNull package var expert: Int?
  /// `q`, `k`, `v`, `gate` or `up`; nil if the tensor was not split.
  @ExplicitNull package var part: String?
  /// The rows of the stored matrix that are its own.
  package var rows: IndexRuns
  /// The columns of the stored matrix that are its own.
  package var columns: IndexRuns

  /// A part of a tensor of `shape`.
  package init(shape: [Int], expert: Int?, part: String?, rows: IndexRuns, columns: IndexRuns) {
    self.shape = shape
    self.expert = expert
    self.part = part
    self.rows = rows
    self.columns = columns
  }
}

extension Catalog {
  /// Where a matrix lies in its tensor, for a document; nil if it is all of it.
  package func recordedSlice(of matrix: Matrix) -> RecordedSlice? {
    guard matrix.expert != nil || matrix.part != nil else { return nil }
    return RecordedSlice(
      shape: tensors[matrix.tensor].shape, expert: matrix.expert, part: matrix.part, rows: matrix.slice.rows,
      columns: matrix.slice.columns)
  }
}
