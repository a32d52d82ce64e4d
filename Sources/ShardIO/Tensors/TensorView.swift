import SystemPackage

/// A matrix in a file, whole or part of a stored tensor, whose panels can be decoded to `Float` or `Double`.
public struct TensorView: Sendable {
  /// The file, open as long as any of its views lives.
  public let source: any ByteSource
  /// The name of the stored tensor, exactly as stored; print ``quoted(_:)``.
  public let name: String
  /// One for which ``DType/isDecodable`` holds.
  public let dtype: DType
  /// Which part of the tensor the matrix is.
  public let slice: TensorSlice
  /// What decoded weights are multiplied by; nil for weights that are meant as stored.
  public let scales: BlockScales?
  /// Rows of the matrix.
  public let rows: Int
  /// Columns of the matrix.
  public let columns: Int

  /// Where the slab begins in the file.
  private let slabStart: Int

  /// Sources that copy are read in pieces of this size, so that they are decoded from cache.
  static let loanBytes = 1 << 20
  /// Reading on over a gap of this size costs no more than another system call and seek.
  static let smallGap = 32 << 10

  /// A view of `tensor`, or of a part of it, in `source`.
  ///
  /// - Parameters:
  ///   - slice: nil for all of a tensor of rank 2.
  ///   - scales: of the stored matrix, or the ones that all slabs share; they may have come from another file.
  /// - Throws: ``CheckpointError`` of kind `.data`, unless the tensor has a decodable type and a byte range of its size
  ///   inside the file, the slice lies inside its shape, and the scales are for a matrix as stored.
  public init(
    source: any ByteSource, tensor: TensorInfo, slice: TensorSlice? = nil, scales: BlockScales? = nil
  ) throws(CheckpointError) {
    func refuse(_ problem: String) -> CheckpointError {
      CheckpointError(kind: .data, path: source.path, problem: "tensor \(quoted(tensor.name)) \(problem)")
    }
    guard slice != nil || tensor.shape.count == 2 else {
      throw refuse("has shape \(shown(tensor.shape)), which is no matrix")
    }
    guard tensor.dtype.isDecodable else { throw refuse("has dtype \(tensor.dtype.rawValue), which has no decoder") }
    let elementBytes = tensor.dtype.bits / 8
    guard tensor.shape.allSatisfy({ $0 >= 0 }), let elements = product(tensor.shape),
      tensor.byteRange.lowerBound >= 0, tensor.byteRange.upperBound <= source.size,
      tensor.byteRange.count.quotientAndRemainder(dividingBy: elementBytes) == (elements, 0)
    else { throw refuse("does not match its file, which has \(source.size) bytes") }

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
    // A slab lies inside the tensor, whose bytes fit in Int; without elements there is nothing to skip.
    slabStart =
      elements == 0
      ? tensor.byteRange.lowerBound
      : tensor.byteRange.lowerBound + slice.slab * slice.storedRows * slice.storedColumns * elementBytes
  }

  /// Bytes of one stored element.
  var elementBytes: Int { dtype.bits / 8 }

  /// The bytes of stored elements of the slab, counted row by row.
  func bytes(from element: Int, count: Int) -> Range<Int> {
    let start = slabStart + element * elementBytes
    return start..<start + count * elementBytes
  }
}
