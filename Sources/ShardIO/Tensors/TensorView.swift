import SystemPackage

/// A matrix in a file, whose panels can be decoded to `Float` or `Double`. It is a stored tensor or a part of one.
///
///     let view = try TensorView(source: source, tensor: tensor.info)
///     var scratch = ScratchBytes()
///     try view.decode(rows: 0..<16, columns: 0..<view.columns, into: panel, scratch: &scratch)
///
/// Invariant: every element of the matrix lies inside the byte range of its tensor, and that inside the file. It is
/// checked once, when the view is made, so decoding checks only that rows and columns are those of the matrix.
package struct TensorView: Sendable {
  /// The file, which stays open as long as any of its views lives.
  package let source: any ByteSource
  /// The name of the stored tensor, exactly as it is stored. Print ``quoted(_:)`` of it.
  package let name: String
  /// The stored type, one for which ``DType/isDecodable`` holds.
  package let dtype: DType
  /// The part of the tensor that is the matrix.
  package let slice: TensorSlice
  /// The scales that decoded weights are multiplied by; nil for weights that need none.
  package let scales: BlockScales?
  /// The rows of the matrix.
  package let rows: Int
  /// The columns of the matrix.
  package let columns: Int

  /// The offset of the slab in the file, in bytes.
  private let slabStart: Int

  /// The most bytes that sources which copy lend at once, so that they are decoded from cache.
  static let loanBytes = 1 << 20
  /// The largest gap, in bytes, that takes no longer to read over than another system call and seek.
  static let smallGap = 32 << 10

  /// Makes a view of `tensor`, or of a part of it, in `source`.
  ///
  /// - Parameters:
  ///   - slice: the part of the tensor; nil for all of a tensor of rank 2.
  ///   - scales: the scales of the stored matrix, or those that all slabs share. They may come from another file.
  /// - Throws: ``CheckpointError`` of kind `.data`, unless the tensor has a decodable type and a byte range of its size
  ///   inside the file, the slice lies inside the shape, and the scales are for a matrix of the stored shape.
  package init(
    source: any ByteSource, tensor: TensorInfo, slice: TensorSlice? = nil, scales: BlockScales? = nil
  ) throws(CheckpointError) {
    func refuse(_ problem: String) -> CheckpointError {
      CheckpointError(kind: .data, path: source.path, problem: "tensor \(quoted(tensor.name)) \(problem)")
    }
    // 1. The tensor: a type that can be decoded, and a byte range of its size inside the file.
    guard slice != nil || tensor.shape.count == 2 else {
      throw refuse("has shape \(shown(tensor.shape)), which is no matrix")
    }
    guard tensor.dtype.isDecodable else { throw refuse("has dtype \(tensor.dtype.rawValue), which has no decoder") }
    let elementBytes = tensor.dtype.bits / 8
    guard tensor.shape.allSatisfy({ $0 >= 0 }), let elements = product(tensor.shape),
      tensor.byteRange.lowerBound >= 0, tensor.byteRange.upperBound <= source.size,
      tensor.byteRange.count.quotientAndRemainder(dividingBy: elementBytes) == (elements, 0)
    else { throw refuse("does not match its file, which has \(source.size) bytes") }

    // 2. The slice: inside the shape.
    let slice = slice ?? TensorSlice(whole: tensor.shape[0], columns: tensor.shape[1])
    guard let slabs = slice.slabs(of: tensor.shape) else {
      throw refuse(
        "has shape \(shown(tensor.shape)), which is no stack of \(slice.storedRows) × \(slice.storedColumns) matrices")
    }
    guard slice.slab >= 0, slice.slab < slabs else {
      throw refuse("has \(slabs) matrices, none of number \(slice.slab)")
    }
    guard slice.rows.end <= slice.storedRows, slice.columns.end <= slice.storedColumns else {
      throw refuse(
        "has \(slice.storedRows) × \(slice.storedColumns) weights, fewer than the \(slice.rows.end) × \(slice.columns.end) "
          + "of which part is asked for")
    }
    // 3. The scales: of this matrix.
    if let scales {
      guard (scales.storedRows, scales.storedColumns) == (slice.storedRows, slice.storedColumns),
        scales.slabs == 1 || (scales.slab, scales.slabs) == (slice.slab, slabs)
      else {
        throw refuse(
          "is matrix \(slice.slab) of \(slabs), \(slice.storedRows) × \(slice.storedColumns), but its scales are for "
            + "matrix \(scales.slab) of \(scales.slabs), \(scales.storedRows) × \(scales.storedColumns)")
      }
      guard tensor.dtype != .f64 else { throw refuse("has dtype F64, whose product with scales would not be exact") }
    }
    self.source = source
    name = tensor.name
    dtype = tensor.dtype
    self.slice = slice
    self.scales = scales
    rows = slice.rows.total
    columns = slice.columns.total
    // The product cannot overflow: the slab lies inside the tensor, whose bytes fit in Int. Without elements there is
    // nothing to skip.
    slabStart =
      elements == 0
      ? tensor.byteRange.lowerBound
      : tensor.byteRange.lowerBound + slice.slab * slice.storedRows * slice.storedColumns * elementBytes
  }

  /// The bytes of one stored element.
  var elementBytes: Int { dtype.bits / 8 }

  /// The byte range of `count` stored elements of the slab from number `element` on, counted row by row.
  func bytes(from element: Int, count: Int) -> Range<Int> {
    let start = slabStart + element * elementBytes
    return start..<start + count * elementBytes
  }
}
