/// The scales that the weights of one quantized matrix are multiplied by: one for each block of a grid.
///
/// A block has `blockRows × blockColumns` weights of the stored matrix. The last block of a row or column of blocks may
/// have fewer. Common grids are:
///
/// - 128 × 128: `weight_scale_inv` of DeepSeek-V3;
/// - 1 × (all columns): a scale for each row;
/// - (all rows) × (all columns): a scale for the tensor.
///
/// Scales are kept in `Float`, so that scale · weight is exact in `Double`, and rounded once in `Float`.
package struct BlockScales: Sendable, Equatable {
  /// The rows of the stored matrix, at least 1.
  package let storedRows: Int
  /// The columns of the stored matrix, at least 1.
  package let storedColumns: Int
  /// The rows of a block.
  package let blockRows: Int
  /// The columns of a block.
  package let blockColumns: Int
  /// The number of blocks above one another, ⌈storedRows / blockRows⌉.
  package let rowBlocks: Int
  /// The number of blocks beside one another, ⌈storedColumns / blockColumns⌉.
  package let columnBlocks: Int
  /// The slab of a stack that the scales are for; 0 for a matrix.
  package let slab: Int
  /// The number of slabs that the tensor of scales has scales for.
  package let slabs: Int
  /// The scales, `rowBlocks × columnBlocks`, row-major, finite and not negative.
  package let values: [Float]

  /// Reads the scales of one matrix.
  ///
  /// The shape of `tensor` must be `[slabs, rowBlocks, columnBlocks]`, but dimensions of 1 may be missing or added: a
  /// scale for the tensor may have shape [] or [1], and scales for rows [m] or [m, 1].
  ///
  /// A scale of 0 is accepted, since some quantizers write it for a block of zeros. A negative scale is refused: no
  /// quantizer makes one, so these are not the scales that they are taken for.
  ///
  /// - Parameters:
  ///   - source: the file of the scales, which need not be that of the weights.
  ///   - tensor: a tensor of F32, BF16, F16, F8_E8M0, or of F64 whose values `Float` holds exactly.
  ///   - slab: the position of the matrix in a stack; 0 for a single matrix.
  ///   - blockRows: at least 1. It may be more than there are rows, and `blockColumns` more than there are columns.
  /// - Throws: ``CheckpointError``. Its kind is `.data` for another type or shape, for a byte range that does not match
  ///   shape and file, and for a scale that is NaN, infinite or negative, with its position. It is `.io` if reading
  ///   fails.
  /// - Complexity: O(scales of the slab), one read.
  package init(
    source: any ByteSource, tensor: TensorInfo, slab: Int, blockRows: Int, blockColumns: Int, storedRows: Int,
    storedColumns: Int
  ) throws(CheckpointError) {
    func refuse(_ problem: String) -> CheckpointError {
      CheckpointError(kind: .data, path: source.path, problem: "tensor \(quoted(tensor.name)) \(problem)")
    }
    // 1. Check type and shape against the grid.
    guard Self.scaleTypes.contains(tensor.dtype) else {
      throw refuse("has dtype \(tensor.dtype.rawValue), which is no type for scales")
    }
    guard blockRows >= 1, blockColumns >= 1, storedRows >= 1, storedColumns >= 1 else {
      throw refuse("scales blocks of \(blockRows) × \(blockColumns) of a \(storedRows) × \(storedColumns) matrix")
    }
    let rowBlocks = (storedRows - 1) / blockRows + 1
    let columnBlocks = (storedColumns - 1) / blockColumns + 1
    let width = tensor.dtype.bits / 8
    guard let total = product(tensor.shape), let perSlab = product([rowBlocks, columnBlocks]),
      tensor.shape.allSatisfy({ $0 >= 1 }), total.isMultiple(of: perSlab),
      tensor.shape.filter({ $0 != 1 }) == [total / perSlab, rowBlocks, columnBlocks].filter({ $0 != 1 })
    else {
      throw refuse(
        "has shape \(shown(tensor.shape)), but the scales of a \(storedRows) × \(storedColumns) matrix in blocks of "
          + "\(blockRows) × \(blockColumns) have shape \([rowBlocks, columnBlocks])")
    }
    let slabs = total / perSlab
    guard slab >= 0, slab < slabs else { throw refuse("has scales for \(slabs) matrices, none for number \(slab)") }
    guard tensor.byteRange.lowerBound >= 0, tensor.byteRange.upperBound <= source.size,
      tensor.byteRange.count.quotientAndRemainder(dividingBy: width) == (total, 0)
    else { throw refuse("does not match its file, which has \(source.size) bytes") }

    // 2. Read the scales of the slab, and check each.
    let start = tensor.byteRange.lowerBound + slab * perSlab * width
    let found = try Self.read(source, bytes: start..<start + perSlab * width, as: tensor.dtype)
    var values: [Float] = []
    values.reserveCapacity(perSlab)
    for (index, value) in found.enumerated() {
      let place =
        "row \(index / columnBlocks), column \(index % columnBlocks)" + (slabs > 1 ? " of matrix \(slab)" : "")
      guard value.isFinite else { throw refuse("is NaN or infinite at \(place)") }
      guard value >= 0 else { throw refuse("is negative at \(place), which no scale is") }
      guard let exact = Float(exactly: value) else { throw refuse("is no single-precision number at \(place)") }
      values.append(exact)
    }
    self.storedRows = storedRows
    self.storedColumns = storedColumns
    self.blockRows = blockRows
    self.blockColumns = blockColumns
    self.rowBlocks = rowBlocks
    self.columnBlocks = columnBlocks
    self.slab = slab
    self.slabs = slabs
    self.values = values
  }

  /// The types that scales are stored in. E8M0 has powers of two alone.
  package static let scaleTypes: Set<DType> = [.f32, .bf16, .f16, .f64, .f8E8M0]

  /// The number that a code of E8M0 stands for: 2^(code − 127), and NaN for 255 (OCP Microscaling Formats 1.0, section 5.4.1).
  private static func powerOfTwo(_ code: UInt8) -> Double {
    code == 255 ? .nan : Double(sign: .plus, exponent: Int(code) - 127, significand: 1)
  }

  private static func read(
    _ source: any ByteSource, bytes: Range<Int>, as dtype: DType
  ) throws(CheckpointError) -> [Double] {
    var scratch = ScratchBytes()
    do {
      return try source.withBytes(in: bytes, scratch: &scratch) { bytes in
        let count = bytes.count / (dtype.bits / 8)
        return [Double](unsafeUninitializedCapacity: count) { buffer, initialized in
          if dtype == .f8E8M0 {
            for (index, code) in bytes.enumerated() { buffer.initializeElement(at: index, to: Self.powerOfTwo(code)) }
          } else {
            Double.decode(bytes, as: dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
          }
          initialized = count
        }
      }
    } catch let error as SourceError {
      throw CheckpointError(error)
    } catch {
      throw CheckpointError(kind: .io, path: source.path, problem: "\(error)")
    }
  }
}

extension BlockScales {
  /// Multiplies decoded weights of one row by their scales.
  ///
  /// - Parameters:
  ///   - values: the weights at positions `columns` of `runs`.
  ///   - row: the stored position of the row.
  ///   - runs: the columns that the matrix takes, none beyond ``storedColumns``.
  func apply<Scalar: DecodableScalar>(
    to values: UnsafeMutableBufferPointer<Scalar>, row: Int, columns: Range<Int>, of runs: IndexRuns
  ) {
    self.values.withUnsafeBufferPointer { grid in
      let firstBlock = row / blockRows * columnBlocks
      let scales = UnsafeBufferPointer(rebasing: grid[firstBlock..<firstBlock + columnBlocks])
      if runs.isConsecutive(columns) {
        let (block, offset) = runs.stored(columns.lowerBound).quotientAndRemainder(dividingBy: blockColumns)
        Scalar.scale(
          values, by: UnsafeBufferPointer(rebasing: scales[block...]), block: blockColumns, offset: offset)
        return
      }
      // Stored positions ascend, so those of one block follow each other.
      var position = columns.lowerBound
      while position < columns.upperBound {
        let block = runs.stored(position) / blockColumns
        let blockEnd = block + 1 < columnBlocks ? (block + 1) * blockColumns : storedColumns
        let end = min(runs.positions(before: blockEnd), columns.upperBound)
        let part = position - columns.lowerBound..<end - columns.lowerBound
        Scalar.scale(
          UnsafeMutableBufferPointer(rebasing: values[part]),
          by: UnsafeBufferPointer(rebasing: scales[block...block]), block: part.count + 1, offset: 0)
        position = end
      }
    }
  }
}
