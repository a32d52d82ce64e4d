import RunCore
import ShardIO
import Weights

/// The masks that `frog.json` says are stored under one name: those of one matrix, or of all experts of a stack.
struct RecordedOutput {
  /// The names, types and shapes of the stored tensors.
  let tensors: MaskTensors
  /// The entries of the record, by expert.
  let matrices: [MaskRecord.Matrix]
  /// The part of the stored tensor that each matrix is, by expert.
  let slices: [TensorSlice]

  /// The name of the mask file.
  var file: String { matrices[0].file }

  /// The most elements that a tensor may have. No tensor has as many, and below it sizes in bytes cannot overflow.
  private static let largestTensor = 1 << 56

  /// The outputs that the matrices of `record` are stored in, in order of their first ordinal.
  ///
  /// - Throws: ``RunFailure`` of kind `.data` for a record that contradicts itself.
  static func outputs(of record: MaskRecord) throws(RunFailure) -> [RecordedOutput] {
    var order: [ExactName] = []
    var groups: [ExactName: [MaskRecord.Matrix]] = [:]
    for matrix in record.matrices {
      let name = ExactName(matrix.tensor + (matrix.slice?.part.map { "[\($0)]" } ?? ""))
      if groups[name] == nil { order.append(name) }
      groups[name, default: []].append(matrix)
    }
    return try order.map { name throws(RunFailure) in
      let matrices = (groups[name] ?? []).sorted { ($0.slice?.expert ?? 0) < ($1.slice?.expert ?? 0) }
      guard let output = RecordedOutput(name: name.string, matrices, files: record.files) else {
        throw RunFailure(.data, "the entry of \(quoted(matrices.first?.name ?? name.string)) contradicts itself")
      }
      return output
    }
  }

  private init?(name: String, _ matrices: [MaskRecord.Matrix], files: [String: RecordedFile]) {
    guard let first = matrices.first, let format = MaskFormat(rawValue: first.format), format != .auto,
      files[first.file] != nil
    else { return nil }
    let shape = first.slice?.shape ?? first.shape
    guard let stored = Self.storedMatrix(shape, isStack: first.slice?.expert != nil),
      matrices.count == (first.slice?.expert != nil ? shape[0] : 1)
    else { return nil }
    var slices: [TensorSlice] = []
    for (number, matrix) in matrices.enumerated() {
      let slab = matrix.slice?.expert ?? 0
      let rows = matrix.slice?.rows ?? IndexRuns(all: stored.rows)
      let columns = matrix.slice?.columns ?? IndexRuns(all: stored.columns)
      guard slab == number, (matrix.slice == nil) == (first.slice == nil),
        matrix.slice.map({ $0.shape == shape }) ?? true, (matrix.slice?.expert == nil) == (first.slice?.expert == nil),
        matrix.file == first.file, matrix.format == first.format, matrix.shape == first.shape,
        rows.end <= stored.rows, columns.end <= stored.columns, matrix.shape == [rows.total, columns.total],
        (0...rows.total * columns.total).contains(matrix.kept),
        MaskRecord.Matrix.scoreExponents.contains(matrix.scoreExponent)
      else { return nil }
      slices.append(
        TensorSlice(
          storedRows: stored.rows, storedColumns: stored.columns, slab: slab, rows: rows, columns: columns))
    }
    self.matrices = matrices
    self.slices = slices
    tensors = MaskTensors(
      name: name, rows: first.shape[0], columns: first.shape[1], storedSize: stored.size,
      isStack: first.slice?.expert != nil, kept: matrices.map(\.kept), format: format)
  }

  /// The stored shape as one matrix, or as one for each expert; nil unless every dimension is positive and the product not too large.
  private static func storedMatrix(_ shape: [Int], isStack: Bool) -> (rows: Int, columns: Int, size: Int)? {
    guard shape.count >= (isStack ? 3 : 2), shape.allSatisfy({ $0 > 0 }) else { return nil }
    var size = 1
    for dimension in shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
      guard !overflow, product <= largestTensor else { return nil }
      size = product
    }
    let inner = isStack ? shape[1...] : shape[...]
    guard let rows = inner.first else { return nil }
    return (rows, size / (isStack ? shape[0] : 1) / rows, size)
  }
}
