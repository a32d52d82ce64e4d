import Foundation
import ShardIO
import SystemPackage
import TestSupport
import Testing

@testable import Comparison
@testable import Execution
@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

@Suite("Records")
struct RecordTests {
  static let record = MaskRecord(
    version: "1",
    parameters: .init(
      MaskParameters(
        keep: 1, select: "global", precision: "f64", format: "auto", score: "frog", normalize: "none"),
      TensorParameters(CatalogOptions(), threads: 1)),
    checkpoint: .init(fingerprint: "f", matrices: 1, weights: 6), coverage: Coverage(weights: 6, counted: 1), K: 1,
    kept: 1, threshold: nil,
    starved: 0,
    matrices: [
      .init(
        name: "w", shape: [2, 3], dtype: "F32", tensor: "w", slice: nil, role: "w",
        file: "masks-00001-of-00001.safetensors",
        norm: 1, importance: 1,
        kept: 1,
        threshold: 0.5, scoreExponent: 0, format: "indices", noiseError: 0, rankOneShare: 1)
    ],
    layers: [], roles: [], files: ["masks-00001-of-00001.safetensors": .init(bytes: 1, sha256: "")],
    documents: ["layers.csv": .init(bytes: 1, sha256: "")])

  @Test("come back as written, nulls spelled out")
  func roundTrip() throws {
    let text = try Document.encode(Self.record)
    #expect(String(decoding: text, as: UTF8.self).contains("\"threshold\" : null"))
    #expect(try Document.encode(MaskReader("/x", recordText: text).record) == text)
  }

  @Test(
    "that contradict themselves are refused, not trusted",
    arguments: [
      ("\"frog-mask\"", "\"other\""), ("\"format_version\" : 5", "\"format_version\" : 9"),
      ("[\n        2,\n        3\n      ]", "[2]"), ("[\n        2,\n        3\n      ]", "[2, -3]"),
      ("[\n        2,\n        3\n      ]", "[4611686018427387904, 4]"),
      ("[\n        2,\n        3\n      ]", "[1, 9223372036854775807]"),
      ("\"file\" : \"masks-", "\"file\" : \"other-"), ("\"indices\"", "\"auto\""), ("\"indices\"", "\"text\""),
      ("{\n    \"masks-00001-of-00001.safetensors\"", "{\n    \"masks-/../../x.safetensors\""),
      ("\"layers.csv\"", "\"../layers.csv\""), ("\"global\"", "\"\\u001b[2J\""), ("\"frobenius\"", "\"norm\""),
      ("\"K\"", "\"J\""),
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
  private static func outputs(_ change: (inout [MaskRecord.Matrix]) -> Void) throws -> [RecordedOutput] {
    var record = RecordTests.record
    let columns = IndexRuns(4..<8)
    record.matrices = (0..<3).map { expert in
      MaskRecord.Matrix(
        name: "w[\(expert)][up]", shape: [4, 4], dtype: "BF16", tensor: "w",
        slice: .init(shape: [3, 4, 8], expert: expert, part: "up", rows: .init(all: 4), columns: columns),
        role: "up", file: "masks-00001-of-00001.safetensors", norm: 1, importance: 1, kept: expert, scoreExponent: 0,
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
        #expect((slice.position(ofStored: position) != nil) == (slab == expert && column >= 4), "\(position)")
      }
    }
    let own = (0..<16).map(slices[1].storedPosition)
    #expect(own == own.sorted() && own.map { slices[1].position(ofStored: $0) } == Array(own.indices))
  }

  @Test("what contradicts itself is refused", arguments: 0..<9)
  func hostile(number: Int) {
    let changes: [(inout [MaskRecord.Matrix]) -> Void] = [
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
