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
    let isStack = first.slice?.expert != nil
    guard let stored = Self.storedMatrix(shape, experts: isStack ? matrices.count : nil), isStack || matrices.count == 1
    else { return nil }
    var slices: [TensorSlice] = []
    for (number, matrix) in matrices.enumerated() {
      let slab = matrix.slice?.expert ?? 0
      // Experts that are fused in a tensor of rank 2 lie one below the other, and their rows count in the tensor.
      let above = isStack && shape.count == 2 ? slab * stored.rows : 0
      guard slab == number, let rows = (matrix.slice?.rows ?? IndexRuns(all: stored.rows)).moved(up: above) else {
        return nil
      }
      let columns = matrix.slice?.columns ?? IndexRuns(all: stored.columns)
      guard (matrix.slice == nil) == (first.slice == nil),
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
      isStack: isStack, kept: matrices.map(\.kept), format: format)
  }

  /// The stored shape as one matrix, or as one for each of `experts`, which a tensor of rank 2 fuses along its rows.
  ///
  /// - Returns: nil unless every dimension is positive, the product not too large, and the experts are as many as the shape says.
  private static func storedMatrix(_ shape: [Int], experts: Int?) -> (rows: Int, columns: Int, size: Int)? {
    guard shape.count >= 2, shape.allSatisfy({ $0 > 0 }) else { return nil }
    var size = 1
    for dimension in shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
      guard !overflow, product <= largestTensor else { return nil }
      size = product
    }
    guard let experts else { return (shape[0], size / shape[0], size) }
    if shape.count == 2 { return shape[0].isMultiple(of: experts) ? (shape[0] / experts, shape[1], size) : nil }
    return shape[0] == experts ? (shape[1], size / experts / shape[1], size) : nil
  }
}
