import ShardIO
import SystemPackage
import TestSupport
import Testing

/// Scales on disk: positive, of many magnitudes, exact in their type.
struct ScaleFile {
  let folder: TemporaryFolder
  let path: FilePath
  let info: TensorInfo
  let values: [Float]

  init(_ dtype: DType = .f32, shape: [Int], seed: UInt64 = 1) throws {
    var generator = SeededGenerator(seed: seed)
    let values = (0..<shape.reduce(1, *)).map { _ in
      // Seven bits of mantissa fit in every type, and enough of them differ to tell the blocks apart.
      let mantissa = Float(Int.random(in: 128...255, using: &generator)) / 128
      let wide = dtype == .f32 || dtype == .f64
      return (wide ? mantissa + 3 * Float.ulpOfOne : mantissa)
        * Float(sign: .plus, exponent: Int.random(in: -10...2, using: &generator), significand: 1)
    }
    try self.init(dtype, shape: shape, writing: values.map(Double.init), values: values)
  }

  init(_ dtype: DType = .f32, shape: [Int], writing doubles: [Double], values: [Float] = []) throws {
    var data: [UInt8] = []
    for value in doubles {
      switch dtype {
      case .f16: withUnsafeBytes(of: Float16(value).bitPattern) { data += $0 }
      case .bf16: withUnsafeBytes(of: UInt16(Float(value).bitPattern >> 16)) { data += $0 }
      case .f64: withUnsafeBytes(of: value.bitPattern) { data += $0 }
      default: withUnsafeBytes(of: Float(value).bitPattern) { data += $0 }
      }
    }
    self.values = values
    folder = try TemporaryFolder()
    path = try folder.write([9, 9, 9] + data, to: "scales")
    info = TensorInfo(name: "s", dtype: dtype, shape: shape, byteRange: 3..<3 + data.count)
  }

  func scales(slab: Int = 0, block: (Int, Int), of rows: Int, _ columns: Int) throws -> BlockScales {
    try BlockScales(
      source: PreadFile(path: path), tensor: info, slab: slab, blockRows: block.0, blockColumns: block.1,
      storedRows: rows, storedColumns: columns)
  }
}

@Suite("Scales of quantized weights")
struct BlockScalesTests {
  // DeepSeek-V3's kv_a, 576 × 7168 in blocks of 128, has 5 × 56 scales; so has a sixteenth of it.

  @Test("a ragged grid, in every type that scales have", arguments: [DType.f32, .bf16, .f16, .f64])
  func ragged(dtype: DType) throws {
    let file = try ScaleFile(dtype, shape: [5, 56])
    let scales = try file.scales(block: (8, 8), of: 36, 448)
    #expect((scales.rowBlocks, scales.columnBlocks) == (5, 56))
    #expect(scales.values == file.values)
  }

  /// Rows, columns, block, and the shapes that its scales may have.
  @Test(
    "the shapes that scales come in",
    arguments: [
      ([36, 448], [36, 448], [[], [1], [1, 1]]), ([36, 448], [1, 448], [[36], [36, 1]]),
      ([36, 448], [36, 1], [[448], [1, 448]]), ([36, 448], [128, 512], [[1], []]),
      ([8, 448], [8, 8], [[1, 56], [56]]), ([1, 3], [1, 1], [[3], [1, 3]]), ([1, 1], [128, 128], [[], [1]]),
      ([36, 448], [.max, .max], [[1]]),
    ] as [([Int], [Int], [[Int]])])
  func shapes(matrix: [Int], block: [Int], shapes: [[Int]]) throws {
    for shape in shapes {
      let file = try ScaleFile(shape: shape)
      let scales = try file.scales(block: (block[0], block[1]), of: matrix[0], matrix[1])
      #expect(scales.values == file.values)
      #expect(scales.slabs == 1)
    }
  }

  @Test("stacks: the scales of one slab", arguments: 0..<3)
  func stack(slab: Int) throws {
    let grid = try ScaleFile(shape: [3, 5, 56])
    #expect(
      try grid.scales(slab: slab, block: (8, 8), of: 36, 448).values
        == Array(grid.values[slab * 280..<(slab + 1) * 280]))
    for shape in [[3], [3, 1, 1], [3, 1]] {
      let file = try ScaleFile(shape: shape)
      let scales = try file.scales(slab: slab, block: (36, 448), of: 36, 448)
      #expect(scales.values == [file.values[slab]])
      #expect((scales.slab, scales.slabs) == (slab, 3))
    }
  }

  @Test("a scale of zero is accepted")
  func zero() throws {
    let file = try ScaleFile(shape: [2], writing: [0, 1])
    #expect(try file.scales(block: (1, 4), of: 2, 4).values == [0, 1])
  }

  @Test("scales that are none, by their place", arguments: [Double.nan, .infinity, -.infinity, -1, 0.1])
  func badValues(value: Double) throws {
    let file = try ScaleFile(.f64, shape: [2, 3, 4], writing: (0..<24).map { $0 == 18 ? value : 1 })
    let error = #expect(throws: CheckpointError.self) { try file.scales(slab: 1, block: (2, 2), of: 6, 8) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("tensor 's'") == true)
    #expect(error?.description.contains("row 1, column 2 of matrix 1") == true)
    #expect(throws: Never.self) { try file.scales(slab: 0, block: (2, 2), of: 6, 8) }
  }

  @Test(
    "what does not fit the matrix",
    arguments: [
      ([56, 5], 0, [8, 8], [36, 448]), ([4, 56], 0, [8, 8], [36, 448]), ([280], 0, [8, 8], [36, 448]),
      ([5, 56, 2], 0, [8, 8], [36, 448]), ([5, 56], 1, [8, 8], [36, 448]), ([3, 5, 56], 3, [8, 8], [36, 448]),
      ([3, 5, 56], -1, [8, 8], [36, 448]), ([5, 56], 0, [0, 8], [36, 448]), ([5, 56], 0, [8, -1], [36, 448]),
      ([5, 56], 0, [8, 8], [0, 448]), ([5, 56], 0, [8, 8], [36, .min]), ([0], 0, [8, 8], [36, 448]),
      ([], 0, [1, 1], [.max, .max]), ([1], 0, [1, 448], [36, 448]),
    ] as [([Int], Int, [Int], [Int])])
  func badShapes(shape: [Int], slab: Int, block: [Int], matrix: [Int]) throws {
    let file = try ScaleFile(shape: shape)
    let error = #expect(throws: CheckpointError.self) {
      try file.scales(slab: slab, block: (block[0], block[1]), of: matrix[0], matrix[1])
    }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("tensor 's'") == true)
  }

  @Test(
    "what does not fit the file",
    arguments: [
      TensorInfo(name: "s", dtype: .i32, shape: [2], byteRange: 0..<8),
      TensorInfo(name: "s", dtype: .f8E4M3, shape: [2], byteRange: 0..<2),
      TensorInfo(name: "s", dtype: .f32, shape: [2], byteRange: 0..<7),
      TensorInfo(name: "s", dtype: .f32, shape: [2], byteRange: 4..<12),
      TensorInfo(name: "s", dtype: .f32, shape: [2], byteRange: -8..<0),
      TensorInfo(name: "s", dtype: .f32, shape: [-2], byteRange: 0..<8),
      TensorInfo(name: "s", dtype: .f32, shape: [.max, 2], byteRange: 0..<8),
      TensorInfo(name: "s", dtype: .f32, shape: [.max, .max], byteRange: 0..<8),
    ])
  func badInfo(info: TensorInfo) throws {
    let folder = try TemporaryFolder()
    let source = try PreadFile(path: folder.write(Array(repeating: 0, count: 8), to: "file"))
    let error = #expect(throws: CheckpointError.self) {
      try BlockScales(
        source: source, tensor: info, slab: 0, blockRows: 1, blockColumns: 4, storedRows: 2, storedColumns: 4)
    }
    #expect(error?.kind == .data)
  }

  @Test("a file cut short ends in an error", arguments: SourceKind.allCases)
  func cutShort(kind: SourceKind) throws {
    let file = try ScaleFile(shape: [5, 56])
    let source = try kind.open(file.path)
    try TemporaryFolder.truncate(file.path, to: 100)
    let error = #expect(throws: CheckpointError.self) {
      try BlockScales(
        source: source, tensor: file.info, slab: 0, blockRows: 8, blockColumns: 8, storedRows: 36, storedColumns: 448)
    }
    #expect(error?.kind == .io)
  }
}

@Suite("Scaled panels")
struct ScaledPanelTests {
  /// Blocks of every alignment: of one column, ragged ones, whole rows, more than there is.
  private static let blocks = [[1, 1], [2, 3], [3, 4], [1, .max], [.max, 1], [.max, .max], [5, 64]]

  @Test(
    "weight times scale, exact in Double and rounded once in Float",
    arguments: SourceKind.allCases, [DType.f8E4M3, .f32])
  func products(kind: SourceKind, dtype: DType) throws {
    for (seed, layout) in try SliceCase.all().enumerated() {
      for block in Self.blocks {
        let view = try scaled(layout, dtype: dtype, block: block, kind: kind, seed: UInt64(seed))
        // Long arrays take minutes to print, so only the first difference is told.
        var wrong: [String] = []
        for rows in ranges(upTo: view.rows) {
          for columns in ranges(upTo: view.columns) {
            let exact = try view.exact(rows: rows, columns: columns)
            let double = try view.view.panel(rows: rows, columns: columns, as: Double.self)
            let float = try view.view.panel(rows: rows, columns: columns, as: Float.self)
            if !zip(double, exact).allSatisfy({ agree($0, $1) })
              || !zip(float, exact).allSatisfy({ agree($0, Float($1)) })
            {
              wrong.append("\(layout.testDescription) blocks \(block) rows \(rows) columns \(columns)")
            }
          }
        }
        #expect(wrong.first == nil)
      }
    }
  }

  @Test("the same from stored bytes, which are not scaled", arguments: SourceKind.allCases)
  func elements(kind: SourceKind) throws {
    var scratch = ScratchBytes()
    var gathered = ScratchBytes()
    for (seed, layout) in try SliceCase.all().enumerated() {
      for block in Self.blocks {
        let view = try scaled(layout, dtype: .f8E4M3, block: block, kind: kind, seed: UInt64(seed))
        let all = try view.exact(rows: 0..<view.rows, columns: 0..<view.columns)
        let positions = layout.positions(rows: 0..<view.rows, columns: 0..<view.columns)
        var wrong: [Range<Int>] = []
        for range in ranges(upTo: all.count) where range.count % 5 == 1 {
          let found = try view.view.elements(range, as: Float.self, scratch: &scratch, gathered: &gathered)
          if found.bytes != view.tensor.bytes(at: Array(positions[range]))
            || !zip(found.values, all[range]).allSatisfy({ agree($0, Float($1)) })
          {
            wrong.append(range)
          }
        }
        #expect(wrong.first == nil, "\(layout.testDescription) blocks \(block)")
      }
    }
  }

  @Test("long rows, in blocks of 128", arguments: SourceKind.allCases)
  func long(kind: SourceKind) throws {
    for (seed, layout) in try SliceCase.all(scale: 1_701).enumerated() {
      let view = try scaled(layout, dtype: .f8E4M3, block: [128, 128], kind: kind, seed: UInt64(seed))
      for columns in [0..<view.columns, 4_097..<view.columns - 1] {
        let exact = try view.exact(rows: 0..<view.rows, columns: columns)
        let found = try view.view.panel(rows: 0..<view.rows, columns: columns, as: Float.self)
        #expect(exact.indices.first { !agree(found[$0], Float(exact[$0])) } == nil, "\(layout.testDescription)")
      }
    }
  }

  @Test("scales of another matrix, and weights whose product would not be exact")
  func refused() throws {
    let scales = try ScaleFile(shape: [2, 2, 2]).scales(slab: 1, block: (2, 2), of: 4, 4)
    func view(_ dtype: DType, _ shape: [Int], _ slice: TensorSlice) throws -> TensorView {
      let tensor = try RandomTensor(dtype, shape: shape, seed: 1)
      return try TensorView(source: PreadFile(path: tensor.path), tensor: tensor.info, slice: slice, scales: scales)
    }
    #expect(throws: Never.self) { try view(.f8E4M3, [2, 4, 4], TensorSlice(whole: 4, columns: 4, slab: 1)) }
    for (dtype, shape, slice) in [
      (DType.f8E4M3, [2, 4, 4], TensorSlice(whole: 4, columns: 4)),
      (.f8E4M3, [3, 4, 4], TensorSlice(whole: 4, columns: 4, slab: 1)),
      (.f8E4M3, [4, 4], TensorSlice(whole: 4, columns: 4)),
      (.f8E4M3, [2, 4, 3], TensorSlice(whole: 4, columns: 3, slab: 1)),
      (.f8E4M3, [2, 3, 4], TensorSlice(whole: 3, columns: 4, slab: 1)),
      (.f64, [2, 4, 4], TensorSlice(whole: 4, columns: 4, slab: 1)),
    ] {
      let error = #expect(throws: CheckpointError.self) { try view(dtype, shape, slice) }
      #expect(error?.kind == .data)
    }
  }

  private struct ScaledTensor {
    let view: TensorView
    let tensor: RandomTensor
    let layout: SliceCase
    let block: [Int]
    let grid: [[Double]]

    var rows: Int { view.rows }
    var columns: Int { view.columns }

    /// Stored weight × scale of the block that it is stored in.
    func exact(rows: Range<Int>, columns: Range<Int>) throws -> [Double] {
      let size = layout.slice.storedRows * layout.slice.storedColumns
      return layout.positions(rows: rows, columns: columns).map { position in
        let (row, column) = (position % size).quotientAndRemainder(dividingBy: layout.slice.storedColumns)
        return tensor.value(at: position) * grid[row / block[0]][column / block[1]]
      }
    }
  }

  private func scaled(
    _ layout: SliceCase, dtype: DType, block: [Int], kind: SourceKind, seed: UInt64
  ) throws -> ScaledTensor {
    let slice = layout.slice
    let rowBlocks = Int((Double(slice.storedRows) / Double(block[0])).rounded(.up))
    let columnBlocks = Int((Double(slice.storedColumns) / Double(block[1])).rounded(.up))
    let slabs = layout.shape.count == 3 ? layout.shape[0] : 1
    let tensor = try RandomTensor(dtype, shape: layout.shape, seed: seed)
    let file = try ScaleFile(shape: [slabs, rowBlocks, columnBlocks], seed: seed)
    let scales = try file.scales(
      slab: slice.slab, block: (block[0], block[1]), of: slice.storedRows, slice.storedColumns)
    let start = slice.slab * rowBlocks * columnBlocks
    let grid = (0..<rowBlocks).map { row in
      (0..<columnBlocks).map { Double(file.values[start + row * columnBlocks + $0]) }
    }
    return ScaledTensor(
      view: try TensorView(source: kind.open(tensor.path), tensor: tensor.info, slice: slice, scales: scales),
      tensor: tensor, layout: layout, block: block, grid: grid)
  }
}
