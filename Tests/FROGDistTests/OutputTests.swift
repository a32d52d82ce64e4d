import Foundation
import ShardIO
import SystemPackage
import Testing

@testable import FROGDist

/// A folder of its own for a test, removed at the end.
private func inFolder(_ body: (FilePath) throws -> Void) throws {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("frog-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: url) }
  try body(FilePath(url.path))
}

@Suite("Output directory")
struct OutputDirectoryTests {
  @Test("is made with its parents, and removed again if the run fails")
  func new() throws {
    try inFolder { folder in
      let output = OutputDirectory(folder.appending("a/b"))
      let isNew = try output.prepare(overwrite: false, checkpoint: "/nowhere")
      #expect(isNew)
      #expect(try Folder.names(in: output.path) == [".frog-mpi"])
      output.abandon(isNew: true)
      #expect(try Folder.names(in: folder.appending("a")) == [])
    }
  }

  @Test("that holds something is refused without overwrite and untouched with it")
  func occupied() throws {
    try inFolder { folder in
      try DurableFile.writeWhole([1, 2], to: folder.appending("notes.txt"))
      let output = OutputDirectory(folder)
      #expect(throws: RunFailure.self) { try output.prepare(overwrite: false, checkpoint: "/nowhere") }
      let isNew = try output.prepare(overwrite: true, checkpoint: "/nowhere")
      #expect(!isNew)
      output.abandon(isNew: false)
      #expect(try Folder.names(in: folder) == ["notes.txt"])
    }
  }

  @Test("may not be the checkpoint, by whatever path")
  func checkpoint() throws {
    try inFolder { folder in
      let output = OutputDirectory(folder.appending("."))
      #expect(throws: RunFailure.self) { try output.prepare(overwrite: true, checkpoint: folder) }
      let names = try Folder.names(in: folder)
      #expect(names == [])
    }
  }

  @Test("publishes the new masks, removes stale ones, and leaves other files alone")
  func publish() throws {
    try inFolder { folder in
      for name in ["masks-00001-of-00002.safetensors", "masks-00002-of-00002.safetensors", "notes.txt", "frog.json"] {
        try DurableFile.writeWhole([0], to: folder.appending(name))
      }
      let output = OutputDirectory(folder)
      _ = try output.prepare(overwrite: true, checkpoint: "/nowhere")
      let mask = "masks-00001-of-00001.safetensors"
      try DurableFile.writeWhole([7], to: output.work.appending(mask))
      try output.publish([mask], documents: [("frog.json", [1]), ("masks.safetensors.index.json", [2])])
      #expect(try Folder.names(in: folder) == ["frog.json", mask, "masks.safetensors.index.json", "notes.txt"])
      #expect(try MaskReader.contents(of: folder.appending("frog.json")) == [1])
    }
  }
}

@Suite("Records")
struct RecordTests {
  static let record = RunRecord(
    version: "1",
    parameters: .init(
      keep: 1, select: "global", precision: "f64", format: "auto", score: "frog", normalize: "none", include: [],
      exclude: [], splitFused: false, threads: 1),
    checkpoint: .init(fingerprint: "f", matrices: 1, weights: 6), K: 1, kept: 1, threshold: nil,
    starved: 0,
    matrices: [
      .init(
        name: "w", shape: [2, 3], dtype: "F32", tensor: "w", slice: nil, file: "masks-00001-of-00001.safetensors",
        norm: 1, importance: 1,
        kept: 1,
        threshold: 0.5, scoreExponent: 0, format: "indices", noiseError: 0, rankOneShare: 1)
    ],
    files: ["masks-00001-of-00001.safetensors": .init(bytes: 1, sha256: "")])

  @Test("come back as written, nulls spelled out")
  func roundTrip() throws {
    let text = try Document.encode(Self.record)
    #expect(String(decoding: text, as: UTF8.self).contains("\"threshold\" : null"))
    #expect(try Document.encode(MaskReader("/x", recordText: text).record) == text)
  }

  @Test(
    "that contradict themselves are refused, not trusted",
    arguments: [
      ("\"frog-mask\"", "\"other\""), ("\"format_version\" : 2", "\"format_version\" : 9"),
      ("[\n        2,\n        3\n      ]", "[2]"), ("[\n        2,\n        3\n      ]", "[2, -3]"),
      ("[\n        2,\n        3\n      ]", "[4611686018427387904, 4]"),
      ("[\n        2,\n        3\n      ]", "[1, 9223372036854775807]"),
      ("\"file\" : \"masks-", "\"file\" : \"other-"), ("\"indices\"", "\"auto\""), ("\"indices\"", "\"text\""),
      ("{\n    \"masks-00001-of-00001.safetensors\"", "{\n    \"masks-/../../x.safetensors\""), ("\"K\"", "\"J\""),
      ("{", "["),
    ])
  func hostile(from: String, to: String) throws {
    let text = String(decoding: try Document.encode(Self.record), as: UTF8.self)
    let changed = text.replacingOccurrences(of: from, with: to)
    #expect(changed != text)
    let failure = #expect(throws: RunFailure.self) { try MaskReader("/x", recordText: Array(changed.utf8)) }
    #expect(failure?.kind == .data)
    #expect(failure?.message.contains("\n") == false)
  }
}

@Suite("Recorded outputs")
struct RecordedOutputTests {
  /// Two experts of 2 × 4 columns, the second half of a stored 3 × 4 × 8.
  private static func outputs(_ change: (inout [RunRecord.Matrix]) -> Void) throws -> [RecordedOutput] {
    var record = RecordTests.record
    let columns = IndexRuns(4..<8)
    record.matrices = (0..<3).map { expert in
      RunRecord.Matrix(
        name: "w[\(expert)][up]", shape: [4, 4], dtype: "BF16", tensor: "w",
        slice: .init(shape: [3, 4, 8], expert: expert, part: "up", rows: .init(all: 4), columns: columns),
        file: "masks-00001-of-00001.safetensors", norm: 1, importance: 1, kept: expert, scoreExponent: 0,
        format: "indices", noiseError: 0, rankOneShare: 1)
    }
    change(&record.matrices)
    return try RecordedOutput.outputs(of: record)
  }

  @Test("a stack's experts are one output, in their order")
  func stack() throws {
    let found = try Self.outputs { $0.reverse() }
    #expect(found.map(\.tensors.name) == ["w[up]"])
    #expect(found.first?.tensors.kept == [0, 1, 2])
    #expect(found.first?.tensors.storedSize == 96)
    #expect(found.first?.tensors.layout.map(\.shape) == [[3], [3], [3, 4], [3, 4]])
  }

  @Test("positions belong to one expert and one part")
  func positions() throws {
    let slices = try Self.outputs { _ in }[0].slices
    for position in 0..<96 {
      let (slab, column) = (position / 32, position % 8)
      for (expert, slice) in slices.enumerated() {
        #expect(slice.contains(storedPosition: position) == (slab == expert && column >= 4), "\(position)")
      }
    }
    let own = (0..<16).map(slices[1].storedPosition)
    #expect(own == own.sorted() && own.allSatisfy { slices[1].contains(storedPosition: $0) })
  }

  @Test("what contradicts itself is refused", arguments: 0..<9)
  func hostile(number: Int) {
    let changes: [(inout [RunRecord.Matrix]) -> Void] = [
      { $0.removeLast() }, { $0[2].slice?.expert = 1 }, { $0[1].slice?.expert = nil }, { $0[1].slice = nil },
      { $0[1].slice?.shape = [3, 4, 7] }, { for index in $0.indices { $0[index].slice?.shape = [3, .max, 8] } },
      { $0[0].slice?.columns = IndexRuns(5..<9) }, { $0[2].kept = 17 }, { $0[1].format = "bitmap" },
    ]
    #expect(throws: RunFailure.self) { try Self.outputs(changes[number]) }
  }
}

@Suite("Mask tensors")
struct MaskTensorsTests {
  @Test("the smaller format, by density")
  func format() {
    #expect(MaskFormat.auto.resolved(kept: 10, size: 320) == .indices)
    #expect(MaskFormat.auto.resolved(kept: 11, size: 320) == .bitmap)
    #expect(MaskFormat.indices.resolved(kept: 320, size: 320) == .indices)
    #expect(MaskFormat.bitmap.resolved(kept: 0, size: 320) == .bitmap)
  }

  @Test("64-bit indices from 2³¹ elements on")
  func width() {
    func tensors(_ rows: Int, _ columns: Int) -> MaskTensors {
      MaskTensors(
        name: "w", rows: rows, columns: columns, storedSize: rows * columns, isStack: false, kept: [5], format: .indices
      )
    }
    #expect(tensors(1 << 15, (1 << 16) - 1).layout[0].dtype == .i32)
    #expect(tensors(1 << 15, 1 << 16).layout[0].dtype == .i64)
    let stack = MaskTensors(
      name: "w", rows: 3, columns: 9, storedSize: 108, isStack: true, kept: [5, 0, 2, 1], format: .bitmap)
    #expect(stack.layout.map(\.shape) == [[4, 3, 2], [8], [4, 3], [4, 9]])
    #expect(stack.keptRange(of: 2) == 5..<7)
  }
}
