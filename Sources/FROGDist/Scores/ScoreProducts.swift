import DistSVD

/// The two products that the scores of a panel are made of: the projection W·V, and the projection times Vᵀ or |V|ᵀ.
///
/// To BLAS, a row-major panel is its transpose: `core × length` when W is tall, `length × core` when it is wide. The projection is `count ×
/// length` or `length × count` likewise. V is `core × count`, column-major.
struct ScoreProducts {
  typealias Buffer = UnsafeMutableBufferPointer<Float>
  /// A product C := A·B, where C has `rows` rows and `columns` columns.
  typealias Multiplication = (LocalBLAS.Operand, LocalBLAS.Operand, _ rows: Int, _ columns: Int, Buffer) -> Void

  let shape: PanelShape

  /// Computes `projection` := W·V for a panel of W.
  func project(_ weights: Buffer, on vectors: Buffer, count: Int, into projection: Buffer) {
    let core = shape.core
    let length = weights.count / core
    if shape.isTall {
      LocalBLAS.multiply(
        .init(vectors, storedRows: core, transposed: true), .init(weights, storedRows: core),
        rows: count, columns: length, inner: core, into: projection)
    } else {
      LocalBLAS.multiply(
        .init(weights, storedRows: length), .init(vectors, storedRows: core),
        rows: length, columns: count, inner: core, into: projection)
    }
  }

  /// Computes `scores` := `projection`·`second`ᵀ by `multiply`.
  func combine(
    _ projection: Buffer, with second: Buffer, count: Int, into scores: Buffer, by multiply: Multiplication
  ) {
    let core = shape.core
    let length = scores.count / core
    if shape.isTall {
      multiply(.init(second, storedRows: core), .init(projection, storedRows: count), core, length, scores)
    } else {
      multiply(
        .init(projection, storedRows: length), .init(second, storedRows: core, transposed: true), length, core, scores)
    }
  }
}
