import ShardIO
import SystemPackage
import TestSupport
import Testing

@Suite("Layouts")
struct ShardLayoutTests {
  @Test("large elements first, then the order given, everything aligned")
  func order() throws {
    let tensors: [ShardLayout.Tensor] = [
      .init(name: "mask", dtype: .u8, shape: [3, 1]), .init(name: "scores", dtype: .f32, shape: [3]),
      .init(name: "half", dtype: .bf16, shape: [3]), .init(name: "indices", dtype: .i64, shape: [3]),
      .init(name: "noise", dtype: .f32, shape: [1]), .init(name: "none", dtype: .i64, shape: [0]),
    ]
    let layout = try ShardLayout(tensors: tensors, metadata: ["format": "pt"])
    let start = layout.header.count
    #expect(start.isMultiple(of: 8))
    #expect(layout.byteRange(of: "indices") == start..<start + 24)
    #expect(layout.byteRange(of: "none") == start + 24..<start + 24)
    #expect(layout.byteRange(of: "scores") == start + 24..<start + 36)
    #expect(layout.byteRange(of: "noise") == start + 36..<start + 40)
    #expect(layout.byteRange(of: "half") == start + 40..<start + 46)
    #expect(layout.byteRange(of: "mask") == start + 46..<start + 49)
    #expect(layout.byteRange(of: "other") == nil)
    #expect(layout.fileSize == start + 49)
    for tensor in tensors {
      #expect(layout.byteRange(of: tensor.name)?.lowerBound.isMultiple(of: tensor.dtype.bits / 8) == true)
    }
  }

  @Test("the exact text of a header")
  func text() throws {
    let layout = try ShardLayout(
      tensors: [.init(name: "a\"\\\n\u{7F}é", dtype: .f32, shape: [2, 1]), .init(name: "s", dtype: .u8, shape: [])],
      metadata: ["z": "1", "a": "2\u{1}", "Z": "/"])
    let json =
      #"{"__metadata__":{"Z":"/","a":"2\u0001","z":"1"},"a\"\\\u000a"# + "\u{7F}é"
      + #"":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"s":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}"#
    #expect(String(decoding: layout.header.dropFirst(8), as: UTF8.self).trimmingSpaces == json)
    #expect(layout.header.prefix(8).elementsEqual(ShardBytes.length(UInt64(layout.header.count - 8))))
  }

  @Test("the reader finds what the layout promised")
  func parses() throws {
    let names = ["e\u{301}", "é", "\u{0}", "weird \"name\"\\", ""]
    let tensors = DType.allCases.flatMap { dtype in
      names.map { ShardLayout.Tensor(name: $0 + dtype.rawValue, dtype: dtype, shape: [4, 2]) }
    }
    let layout = try ShardLayout(tensors: tensors, metadata: ["k\n": "v\u{1F600}"])
    let header = try ShardHeader.parse(header: Array(layout.header.dropFirst(8)), fileSize: layout.fileSize)
    #expect(header.metadata == [ExactName("k\n"): "v\u{1F600}"])
    #expect(header.dataStart == layout.header.count)
    #expect(header.tensors.count == tensors.count)
    for tensor in header.tensors { #expect(layout.byteRange(of: tensor.name) == tensor.byteRange) }
  }

  @Test("no tensors, no metadata")
  func empty() throws {
    let layout = try ShardLayout(tensors: [], metadata: [:])
    #expect(layout.header == ShardBytes.length(8) + Array("{}      ".utf8))
    #expect(layout.fileSize == 16)
  }

  @Test(
    "what no file can hold",
    arguments: [
      ([.init(name: "a", dtype: .u8, shape: []), .init(name: "a", dtype: .f32, shape: [2])], .duplicateName("a")),
      ([.init(name: "__metadata__", dtype: .u8, shape: [])], .reservedName("__metadata__")),
      ([.init(name: "a", dtype: .u8, shape: [2, -1])], .negativeDimension(tensor: "a", shape: [2, -1])),
      ([.init(name: "a", dtype: .u8, shape: [1 << 62])], .tooLarge(tensor: "a")),
      ([.init(name: "a", dtype: .u8, shape: [1 << 32, 1 << 32])], .tooLarge(tensor: "a")),
      ([.init(name: "a", dtype: .f4, shape: [3])], .partialByte(tensor: "a", bits: 12)),
    ] as [([ShardLayout.Tensor], LayoutError)])
  func refused(tensors: [ShardLayout.Tensor], error: LayoutError) {
    #expect(throws: error) { try ShardLayout(tensors: tensors, metadata: [:]) }
  }

  @Test("tensors that fit one by one but not together")
  func togetherTooLarge() {
    let tensors = (0..<9).map { ShardLayout.Tensor(name: "\($0)", dtype: .u8, shape: [(1 << 60) - 1]) }
    #expect(throws: LayoutError.tooLarge(tensor: "8")) { try ShardLayout(tensors: tensors, metadata: [:]) }
    let exact = tensors.prefix(8) + [ShardLayout.Tensor(name: "8", dtype: .u8, shape: [7])]
    #expect(throws: LayoutError.tooLarge(tensor: "8")) { try ShardLayout(tensors: Array(exact), metadata: [:]) }
  }

  @Test("a header above the format's limit")
  func headerTooLarge() {
    let text = String(repeating: "x", count: ShardHeader.largestHeader)
    #expect(throws: LayoutError.self) { _ = try ShardLayout(tensors: [], metadata: ["x": text]) }
  }

  @Test("layout, parallel writes, header, panels", arguments: SourceKind.allCases)
  func roundTrip(kind: SourceKind) async throws {
    let folder = try TemporaryFolder()
    let (rows, columns) = (8, 3)
    let values = (0..<rows * columns).map { Float($0) - 0.5 }
    let layout = try ShardLayout(
      tensors: [.init(name: "u", dtype: .u8, shape: [1]), .init(name: "w", dtype: .f32, shape: [rows, columns])],
      metadata: ["format": "pt"])
    let (temporary, path) = (folder.path.appending("w.tmp"), folder.path.appending("w.safetensors"))
    let start = try #require(layout.byteRange(of: "w")).lowerBound
    do {
      let file = try DurableFile(creating: temporary, size: layout.fileSize)
      try layout.header.withUnsafeBytes { try file.write($0, at: 0) }
      try file.synchronize()
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for row in 0..<rows {
        group.addTask {
          let file = try DurableFile(openingForUpdate: temporary)
          let part = values[row * columns..<(row + 1) * columns]
          try Array(part).withUnsafeBytes { try file.write($0, at: start + 4 * row * columns) }
          try file.synchronize()
        }
      }
      try await group.waitForAll()
    }
    try DurableFile.rename(temporary, to: path)
    try DurableFile.synchronizeDirectory(folder.path)

    let checkpoint = try Checkpoint.open(folder.path, io: kind)
    let view = try TensorView(source: kind.open(path), tensor: checkpoint.tensors[1].info)
    var scratch = ScratchBytes()
    var found = [Float](repeating: 0, count: values.count)
    try found.withUnsafeMutableBufferPointer {
      try view.decode(rows: 0..<rows, columns: 0..<columns, into: $0, scratch: &scratch)
    }
    #expect(found == values)
    #expect(folder.names == ["w.safetensors"])
  }
}

extension String {
  fileprivate var trimmingSpaces: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
