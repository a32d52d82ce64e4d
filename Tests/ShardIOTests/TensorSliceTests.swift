import ShardIO
import SystemPackage
import TestSupport
import Testing

/// A slice and the flat stored positions of its elements, by plain index arithmetic.
struct SliceCase: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let shape: [Int]
  let slice: TensorSlice

  /// The stored position of the element at a row and column of the matrix.
  func position(row: Int, column: Int) -> Int {
    func stored(_ runs: IndexRuns, _ position: Int) -> Int {
      runs.first + position / runs.length * runs.stride + position % runs.length
    }
    return (slice.slab * slice.storedRows + stored(slice.rows, row)) * slice.storedColumns
      + stored(slice.columns, column)
  }

  /// Stored positions of a panel, row-major.
  func positions(rows: Range<Int>, columns: Range<Int>) -> [Int] {
    rows.flatMap { row in columns.map { position(row: row, column: $0) } }
  }

  /// All of them, of the smallest layouts that have every part of the real ones.
  static func all(scale: Int = 1) throws -> [SliceCase] {
    func runs(_ first: Int, _ length: Int, _ stride: Int, _ count: Int) throws -> IndexRuns {
      try #require(IndexRuns(first: first, length: length, stride: stride, count: count))
    }
    let d = scale
    return [
      SliceCase(
        testDescription: "whole", shape: [5, 7 * d], slice: TensorSlice(whole: 5, columns: 7 * d)),
      SliceCase(
        testDescription: "an expert of a stack", shape: [3, 4, 5 * d],
        slice: TensorSlice(whole: 4, columns: 5 * d, slab: 2)),
      SliceCase(
        testDescription: "the kernels of a convolution", shape: [4, 3, 2, 2 * d],
        slice: TensorSlice(whole: 4, columns: 12 * d)),
      SliceCase(
        testDescription: "rows of one part", shape: [9, 5 * d],
        slice: TensorSlice(
          storedRows: 9, storedColumns: 5 * d, rows: try runs(3, 4, 4, 1), columns: IndexRuns(all: 5 * d))),
      SliceCase(
        testDescription: "keys of interleaved heads", shape: [3 * 3 * 2, 4 * d],
        slice: TensorSlice(
          storedRows: 18, storedColumns: 4 * d, rows: try runs(2, 2, 6, 3), columns: IndexRuns(all: 4 * d))),
      SliceCase(
        testDescription: "every second column of an expert", shape: [2, 3, 8 * d],
        slice: TensorSlice(
          storedRows: 3, storedColumns: 8 * d, slab: 1, rows: IndexRuns(all: 3), columns: try runs(1, 1, 2, 4 * d))),
      SliceCase(
        testDescription: "half of the columns", shape: [4, 6 * d],
        slice: TensorSlice(
          storedRows: 4, storedColumns: 6 * d, rows: IndexRuns(all: 4), columns: try runs(3 * d, 3 * d, 3 * d, 1))),
      SliceCase(
        testDescription: "runs of rows and columns", shape: [11, 11 * d],
        slice: TensorSlice(
          storedRows: 11, storedColumns: 11 * d, rows: try runs(1, 2, 5, 2), columns: try runs(d, 2 * d, 3 * d, 3))),
      SliceCase(
        testDescription: "every third column", shape: [2, 9 * d],
        slice: TensorSlice(
          storedRows: 2, storedColumns: 9 * d, rows: IndexRuns(all: 2), columns: try runs(2, 1, 3, 3 * d))),
    ]
  }
}

extension TensorView {
  /// A decoded panel.
  func panel<Scalar: DecodableScalar>(rows: Range<Int>, columns: Range<Int>, as type: Scalar.Type) throws -> [Scalar] {
    var scratch = ScratchBytes()
    let total = rows.count * columns.count
    return try [Scalar](unsafeUninitializedCapacity: total) { buffer, count in
      try decode(
        rows: rows, columns: columns, into: UnsafeMutableBufferPointer(rebasing: buffer[..<total]), scratch: &scratch)
      count = total
    }
  }

  /// The stored bytes of elements, and what they decode to.
  func elements<Scalar: DecodableScalar>(
    _ elements: Range<Int>, as type: Scalar.Type, scratch: inout ScratchBytes, gathered: inout ScratchBytes
  ) throws -> (bytes: [UInt8], values: [Scalar]) {
    try withStoredBytes(of: elements, scratch: &scratch, gathered: &gathered) { bytes in
      let values = [Scalar](unsafeUninitializedCapacity: elements.count) { buffer, count in
        decode(
          stored: bytes, first: elements.lowerBound,
          into: UnsafeMutableBufferPointer(rebasing: buffer[..<elements.count]))
        count = elements.count
      }
      return ([UInt8](bytes), values)
    }
  }
}

/// All ranges inside 0..<end.
func ranges(upTo end: Int) -> [Range<Int>] {
  (0...end).flatMap { lower in (lower...end).map { lower..<$0 } }
}

@Suite("Parts of stored tensors")
struct TensorSliceTests {
  @Test(
    "every panel, against index arithmetic", arguments: SourceKind.allCases, DType.allCases.filter(\.isDecodable))
  func panels(kind: SourceKind, dtype: DType) throws {
    for (seed, layout) in try SliceCase.all().enumerated() {
      let tensor = try RandomTensor(dtype, shape: layout.shape, seed: UInt64(seed))
      let view = try TensorView(source: kind.open(tensor.path), tensor: tensor.info, slice: layout.slice)
      // Long arrays take minutes to print, so only the first difference is told.
      var wrong: [String] = []
      for rows in ranges(upTo: view.rows) {
        for columns in ranges(upTo: view.columns) {
          let exact = layout.positions(rows: rows, columns: columns).map(tensor.value)
          let double = try view.panel(rows: rows, columns: columns, as: Double.self)
          let float = try view.panel(rows: rows, columns: columns, as: Float.self)
          if !zip(double, exact).allSatisfy({ agree($0, $1) })
            || !zip(float, exact).allSatisfy({ agree($0, Float($1)) })
          {
            wrong.append("\(layout.testDescription) rows \(rows) columns \(columns)")
          }
        }
      }
      #expect(wrong.first == nil)
    }
  }

  @Test("every run of elements, their bytes and values", arguments: SourceKind.allCases, [DType.f8E4M3, .bf16, .f64])
  func elements(kind: SourceKind, dtype: DType) throws {
    var scratch = ScratchBytes()
    var gathered = ScratchBytes()
    for (seed, layout) in try SliceCase.all().enumerated() {
      let tensor = try RandomTensor(dtype, shape: layout.shape, seed: UInt64(seed))
      let view = try TensorView(source: kind.open(tensor.path), tensor: tensor.info, slice: layout.slice)
      let positions = layout.positions(rows: 0..<view.rows, columns: 0..<view.columns)
      var wrong: [String] = []
      for range in ranges(upTo: positions.count) {
        let found = try view.elements(range, as: Double.self, scratch: &scratch, gathered: &gathered)
        let wanted = Array(positions[range])
        if found.bytes != tensor.bytes(at: wanted)
          || !zip(found.values, wanted).allSatisfy({ agree($0, tensor.value(at: $1)) })
        {
          wrong.append("\(layout.testDescription) elements \(range)")
        }
      }
      #expect(wrong.first == nil)
    }
  }

  @Test("rows longer than what is decoded at a time, matrices longer than one read", arguments: SourceKind.allCases)
  func large(kind: SourceKind) throws {
    var scratch = ScratchBytes()
    var gathered = ScratchBytes()
    for (seed, layout) in try SliceCase.all(scale: 3_001).enumerated() {
      let tensor = try RandomTensor(.f64, shape: layout.shape, seed: UInt64(seed))
      let view = try TensorView(source: kind.open(tensor.path), tensor: tensor.info, slice: layout.slice)
      let positions = layout.positions(rows: 0..<view.rows, columns: 0..<view.columns)
      let whole = try view.panel(rows: 0..<view.rows, columns: 0..<view.columns, as: Float.self)
      #expect(positions.indices.first { !agree(whole[$0], Float(tensor.value(at: positions[$0]))) } == nil)
      let columns = 4_095..<view.columns - 1
      let part = try view.panel(rows: 1..<view.rows, columns: columns, as: Float.self)
      let exact = layout.positions(rows: 1..<view.rows, columns: columns)
      #expect(exact.indices.first { !agree(part[$0], Float(tensor.value(at: exact[$0]))) } == nil)
      let middle = 3..<positions.count - 2
      let found = try view.elements(middle, as: Float.self, scratch: &scratch, gathered: &gathered)
      let isSame = found.bytes == tensor.bytes(at: Array(positions[middle]))
      #expect(isSame, "\(layout.testDescription)")
    }
  }

  @Test("a file cut short while elements are gathered ends in an error", arguments: SourceKind.allCases)
  func cutShort(kind: SourceKind) throws {
    for layout in try SliceCase.all(scale: 300) {
      let tensor = try RandomTensor(.f16, shape: layout.shape, seed: 1)
      let view = try TensorView(source: kind.open(tensor.path), tensor: tensor.info, slice: layout.slice)
      try TemporaryFolder.truncate(tensor.path, to: 100)
      #expect(throws: SourceError.self) {
        try view.panel(rows: 0..<view.rows, columns: 1..<view.columns, as: Float.self)
      }
      #expect(throws: SourceError.self) {
        var scratch = ScratchBytes()
        var gathered = ScratchBytes()
        return try view.elements(0..<view.rows * view.columns, as: Double.self, scratch: &scratch, gathered: &gathered)
          .values
      }
    }
  }

  private static let all2 = IndexRuns(all: 2)
  private static let pair = IndexRuns(first: 1, length: 1, stride: 2, count: 2)

  @Test(
    "slices that are not in the tensor",
    arguments: [
      ([2, 8], TensorSlice(whole: 8, columns: 2)),
      ([16], TensorSlice(whole: 1, columns: 16)),
      ([], TensorSlice(whole: 4, columns: 4)),
      ([2, 8], TensorSlice(whole: 2, columns: 8, slab: 1)),
      ([2, 8], TensorSlice(whole: 2, columns: 8, slab: -1)),
      ([2, 2, 4], TensorSlice(whole: 2, columns: 4, slab: 2)),
      ([2, 2, 4], TensorSlice(whole: 2, columns: 4, slab: .max)),
      ([2, 2, 4], TensorSlice(whole: 2, columns: 4, slab: .min)),
      ([2, 2, 4], TensorSlice(whole: 2, columns: 8, slab: 1)),
      ([2, 2, 4], TensorSlice(whole: 4, columns: 4)),
      ([2, 2, 2, 2], TensorSlice(whole: 4, columns: 4)),
      ([0, 2, 8], TensorSlice(whole: 2, columns: 8)),
      ([2, 8], TensorSlice(storedRows: 2, storedColumns: 8, rows: IndexRuns(all: 3), columns: IndexRuns(all: 8))),
      ([2, 8], TensorSlice(storedRows: 2, storedColumns: 8, rows: all2, columns: IndexRuns(all: .max))),
      ([2, 8], TensorSlice(storedRows: 2, storedColumns: 8, rows: pair ?? all2, columns: all2)),
      ([-2, -8], TensorSlice(whole: -2, columns: -8)),
      ([2, -8], TensorSlice(whole: 2, columns: -8)),
      ([.max, 2], TensorSlice(whole: .max, columns: 2)),
      ([.max, 2, 2], TensorSlice(whole: .max, columns: 4)),
      ([2, .max, 2], TensorSlice(whole: 2, columns: .max)),
    ])
  func refused(shape: [Int], slice: TensorSlice) throws {
    let folder = try TemporaryFolder()
    let source = try PreadFile(path: folder.write(Array(repeating: 0, count: 16), to: "file"))
    let bytes = shape.contains(0) ? 0..<0 : 0..<16
    let tensor = TensorInfo(name: "w", dtype: .f8E4M3, shape: shape, byteRange: bytes)
    let error = #expect(throws: CheckpointError.self) {
      try TensorView(source: source, tensor: tensor, slice: slice)
    }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("tensor 'w'") == true)
  }

  @Test("dimensions of zero beside huge ones", arguments: [[0, Int.max], [.max, 0], [3, 0, .max], [3, .max, 0]])
  func empty(shape: [Int]) throws {
    let folder = try TemporaryFolder()
    let source = try PreadFile(path: folder.write([1], to: "file"))
    let tensor = TensorInfo(name: "w", dtype: .f64, shape: shape, byteRange: 1..<1)
    let slice = TensorSlice(
      whole: shape[shape.count - 2], columns: shape[shape.count - 1], slab: shape.count == 3 ? 2 : 0)
    let view = try TensorView(source: source, tensor: tensor, slice: slice)
    #expect(try view.panel(rows: 0..<view.rows, columns: 0..<view.columns, as: Float.self) == [])
  }
}
