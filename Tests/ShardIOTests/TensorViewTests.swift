import ShardIO
import SystemPackage
import TestSupport
import Testing

/// A matrix on disk whose element at (row, column) is `row · columns + column`; in 8 bits, that code.
private struct MatrixFile {
  let folder: TemporaryFolder
  let path: FilePath
  let tensor: TensorInfo

  /// The data starts at an odd offset, since a header need not be padded.
  init(_ dtype: DType, rows: Int, columns: Int) throws {
    var data: [UInt8] = []
    data.reserveCapacity(rows * columns * dtype.bits / 8)
    for value in 0..<rows * columns {
      switch dtype {
      case .f8E4M3, .f8E5M2: data.append(UInt8(value & 255))
      case .f16: withUnsafeBytes(of: Float16(value).bitPattern) { data += $0 }
      case .bf16: withUnsafeBytes(of: UInt16(Float(value).bitPattern >> 16)) { data += $0 }
      case .f32: withUnsafeBytes(of: Float(value).bitPattern) { data += $0 }
      default: withUnsafeBytes(of: Double(value).bitPattern) { data += $0 }
      }
    }
    var json = "{\(ShardBytes.entry("w", dtype.rawValue, [rows, columns], to: data.count))}"
    if json.utf8.count.isMultiple(of: 2) { json += " " }
    folder = try TemporaryFolder()
    path = try folder.write(ShardBytes.file(json, data: data), to: "model.safetensors")
    tensor = try Checkpoint.open(path, io: .pread).tensors[0].info
  }

  func check<Scalar: DecodableScalar>(
    _ kind: SourceKind, rows: Range<Int>, columns: Range<Int>, as type: Scalar.Type
  ) throws {
    let view = try TensorView(source: kind.open(path), tensor: tensor)
    var scratch = ScratchBytes()
    let found = try [Scalar](unsafeUninitializedCapacity: rows.count * columns.count) { buffer, count in
      count = rows.count * columns.count
      let panel = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
    }
    let isSmall = view.dtype.bits == 8
    let exact = rows.flatMap { row in
      columns.map { column in
        let value = row * view.columns + column
        return isSmall ? Scalar(exactValue(of: UInt64(value & 255), as: view.dtype)) : Scalar(value)
      }
    }
    // Arrays of this length take minutes to print, so only the place of the first difference is told.
    let wrong = found.indices.first { found[$0] != exact[$0] }
    #expect(found.count == exact.count)
    #expect(wrong == nil, "\(kind) \(view.dtype) rows \(rows) columns \(columns)")
  }
}

@Suite("Panels")
struct TensorViewTests {
  @Test("every panel of a small matrix", arguments: SourceKind.allCases, DType.allCases.filter(\.isDecodable))
  func allPanels(kind: SourceKind, dtype: DType) throws {
    let file = try MatrixFile(dtype, rows: 4, columns: 5)
    #expect(!file.tensor.byteRange.lowerBound.isMultiple(of: 2))
    for rows in ranges(upTo: 4) {
      for columns in ranges(upTo: 5) {
        try file.check(kind, rows: rows, columns: columns, as: Float.self)
        try file.check(kind, rows: rows, columns: columns, as: Double.self)
      }
    }
  }

  @Test("row panels longer than one read", arguments: SourceKind.allCases)
  func longRun(kind: SourceKind) throws {
    let file = try MatrixFile(.f32, rows: 601, columns: 1_003)
    try file.check(kind, rows: 0..<601, columns: 0..<1_003, as: Float.self)
    try file.check(kind, rows: 300..<601, columns: 0..<1_003, as: Double.self)
  }

  @Test("column panels with small gaps, read over, in several reads", arguments: SourceKind.allCases)
  func smallGaps(kind: SourceKind) throws {
    let file = try MatrixFile(.f32, rows: 601, columns: 1_003)
    for columns in [0..<1, 1_002..<1_003, 100..<900, 0..<1_002] {
      try file.check(kind, rows: 0..<601, columns: columns, as: Float.self)
      try file.check(kind, rows: 262..<264, columns: columns, as: Float.self)
    }
  }

  @Test("column panels with large gaps, read row by row", arguments: SourceKind.allCases)
  func largeGaps(kind: SourceKind) throws {
    let file = try MatrixFile(.f32, rows: 50, columns: 20_011)
    for columns in [0..<3, 20_010..<20_011, 7_000..<9_000, 3..<15_000] {
      try file.check(kind, rows: 0..<50, columns: columns, as: Float.self)
      try file.check(kind, rows: 49..<50, columns: columns, as: Double.self)
    }
  }

  @Test("rows longer than one read", arguments: SourceKind.allCases)
  func longRows(kind: SourceKind) throws {
    let file = try MatrixFile(.f32, rows: 3, columns: 300_007)
    try file.check(kind, rows: 0..<3, columns: 1..<300_007, as: Float.self)
    try file.check(kind, rows: 1..<3, columns: 0..<300_007, as: Float.self)
  }

  @Test("matrices without elements", arguments: SourceKind.allCases, [[0, 5], [5, 0], [0, 0]])
  func empty(kind: SourceKind, shape: [Int]) throws {
    let file = try MatrixFile(.bf16, rows: shape[0], columns: shape[1])
    try file.check(kind, rows: 0..<shape[0], columns: 0..<shape[1], as: Float.self)
  }

  @Test(
    "what is no decodable matrix in its file",
    arguments: [
      TensorInfo(name: "w", dtype: .f32, shape: [4], byteRange: 0..<16),
      TensorInfo(name: "w", dtype: .f32, shape: [2, 2, 1], byteRange: 0..<16),
      TensorInfo(name: "w", dtype: .i32, shape: [2, 2], byteRange: 0..<16),
      TensorInfo(name: "w", dtype: .f32, shape: [2, 2], byteRange: 1..<17),
      TensorInfo(name: "w", dtype: .f32, shape: [2, 2], byteRange: 0..<15),
      TensorInfo(name: "w", dtype: .f32, shape: [2, 2], byteRange: -16..<0),
      TensorInfo(name: "w", dtype: .f32, shape: [-2, -2], byteRange: 0..<16),
      TensorInfo(name: "w", dtype: .f32, shape: [Int.max, 2], byteRange: 0..<16),
    ])
  func refused(tensor: TensorInfo) throws {
    let folder = try TemporaryFolder()
    let source = try PreadFile(path: folder.write(Array(repeating: 0, count: 16), to: "file"))
    let error = #expect(throws: CheckpointError.self) { try TensorView(source: source, tensor: tensor) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("tensor 'w'") == true)
  }

  @Test("a file cut short during the run ends in an error", arguments: SourceKind.allCases)
  func cutShort(kind: SourceKind) throws {
    let file = try MatrixFile(.f32, rows: 100, columns: 1_000)
    let view = try TensorView(source: kind.open(file.path), tensor: file.tensor)
    try TemporaryFolder.truncate(file.path, to: 1_000)
    var scratch = ScratchBytes()
    var panel = [Float](repeating: 0, count: 100 * 10)
    #expect(throws: SourceError.self) {
      try panel.withUnsafeMutableBufferPointer {
        try view.decode(rows: 0..<100, columns: 20..<30, into: $0, scratch: &scratch)
      }
    }
  }
}
