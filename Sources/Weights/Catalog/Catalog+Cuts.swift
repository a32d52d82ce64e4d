import RunCore
import ShardIO

extension Catalog {
  /// A part of a stored matrix that takes whole rows.
  package struct RowPart: Sendable, Equatable {
    /// The label, such as `gate`, which ends the name of the matrix in brackets.
    package let label: String
    /// The number of rows.
    package let rows: Int

    package init(label: String, rows: Int) {
      (self.label, self.rows) = (label, rows)
    }
  }

  /// The same checkpoint, with some of its tensors cut into parts that follow each other by rows.
  ///
  /// Tensor `up`, [2, 2f, d], cut into `gate` and `up` of f rows each, gives the matrices `up[0][gate]`, `up[0][up]`, `up[1][gate]` and
  /// `up[1][up]`, each f × d. In a stack, every expert is cut alike.
  ///
  /// - Parameter parts: the parts by position in ``tensors``. A cut is left out unless the tensor was whole, each of its parts has at
  ///   least two rows, and all their rows together are the tensor's.
  /// - Throws: ``RunFailure`` if two matrices would have the same name.
  /// - Complexity: O(n log n) for n matrices.
  package func cutting(_ parts: [Int: [RowPart]]) throws(RunFailure) -> Catalog {
    var tensors = tensors
    for (number, rows) in parts { if let cut = tensors[number].cut(rows) { tensors[number] = cut } }
    return try Catalog(shards: shards, tensors: tensors, coverage: coverage)
  }
}

extension Catalog.Tensor {
  /// The same tensor, cut into consecutive rows; nil if it is cut already, or the rows are not all of it.
  fileprivate func cut(_ parts: [Catalog.RowPart]) -> Catalog.Tensor? {
    guard content.isWhole, parts.count > 1, parts.allSatisfy({ $0.rows >= 2 }) else { return nil }
    var first = 0
    var cut: [FusedParts.Part] = []
    for part in parts {
      guard part.rows <= content.rows - first else { return nil }
      cut.append(
        FusedParts.Part(
          label: part.label, rows: IndexRuns(first..<first + part.rows), columns: IndexRuns(all: content.columns)))
      first += part.rows
    }
    guard first == content.rows else { return nil }
    return Catalog.Tensor(
      self,
      content: MatrixContent(
        rows: content.rows, columns: content.columns, experts: content.experts, parts: cut, scale: content.scale))
  }
}
