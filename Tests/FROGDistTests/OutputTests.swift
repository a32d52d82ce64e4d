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

/// As frog-mpi has them.
private let kinds = [MaskFiles.one, AnalysisFiles.kind, ComparisonFiles.kind]

@Suite("Output directory")
struct OutputDirectoryTests {
  let folder: TemporaryFolder
  private let mask = "masks-00001-of-00001.safetensors"

  init() throws { folder = try TemporaryFolder() }

  private var output: OutputDirectory { OutputDirectory(folder.path, of: MaskFiles.one, among: kinds) }

  private func take(overwrite: Bool = false, resume: Bool = false) throws -> OutputClaim {
    try output.claim(overwrite: overwrite, resume: resume, checkpoints: ["/nowhere"])
  }

  private func write(_ byte: UInt8, to path: FilePath) throws { try DurableFile.writeWhole([byte], to: path) }

  private func contents(_ name: String) throws -> [UInt8] { try Document.contents(of: folder.path.appending(name)) }

  @Test("is made with its parents, and removed again if the run fails before it has a journal")
  func new() throws {
    let output = OutputDirectory(folder.path.appending("a/b"), of: MaskFiles.one, among: kinds)
    let claim = try output.claim(overwrite: false, resume: false, checkpoints: ["/nowhere"])
    #expect(claim.isNew && claim.state == .fresh)
    #expect(try Folder.names(in: output.path) == [".frog-mpi"])
    #expect(!claim.abandon())
    #expect(try Folder.names(in: folder.path.appending("a")) == [])
  }

  @Test("that holds something is refused without overwrite and untouched with it")
  func occupied() throws {
    try write(1, to: folder.path.appending("notes.txt"))
    #expect(throws: RunFailure.self) { try take() }
    #expect(throws: RunFailure.self) { try take(resume: true) }
    #expect(folder.names == ["notes.txt"])
    let claim = try take(overwrite: true)
    #expect(!claim.isNew)
    #expect(!claim.abandon())
    #expect(folder.names == ["notes.txt"])
  }

  /// What may lie in a folder, by the command it is of.
  static let results: [(command: String, file: String, text: String)] = [
    ("mask", "frog.json", "{}"), ("mask", "masks-00001-of-00001.safetensors", ""),
    ("mask", "masks.safetensors.index.json", "{}"), ("analyze", "summary.json", #"{"format": "frog-analysis"}"#),
    ("compare", "summary.json", #"{"format": "frog-comparison"}"#), ("mask", ".frog-mpi/identity.json", "mask"),
    ("analyze", ".frog-mpi/identity.json", "analyze"), ("compare", ".frog-mpi/identity.json", "compare"),
  ]

  @Test("that another command has filled, or begun to fill, is refused whatever is asked", arguments: results.indices)
  func ownership(index: Int) throws {
    let (command, file, text) = Self.results[index]
    try Folder.create(output.work)
    let identity = RunIdentity(
      version: "1", command: text, options: OptionWords(), threads: 1, sources: [:])
    let content = file.hasSuffix("identity.json") ? try Document.encode(identity) : Array(text.utf8)
    try DurableFile.writeWhole(content, to: folder.path.appending(file))
    for kind in kinds {
      let output = OutputDirectory(folder.path, of: kind, among: kinds)
      if kind.command == command {
        _ = try output.claim(overwrite: true, resume: false, checkpoints: ["/nowhere"]).release()
        try DurableFile.writeWhole(content, to: folder.path.appending(file))
        continue
      }
      for resume in [false, true] {
        let refusal = #expect(throws: RunFailure.self) {
          try output.claim(overwrite: true, resume: resume, checkpoints: ["/nowhere"])
        }
        #expect(refusal?.kind == .usage && refusal?.message.contains("holds results of frog-mpi \(command)") == true)
      }
    }
    #expect(try contents(file) == content)
  }

  @Test("with a summary that is nobody's, or a damaged one of a run, may be replaced", arguments: ["{}", "", "[1]"])
  func nobodys(text: String) throws {
    try DurableFile.writeWhole(Array(text.utf8), to: folder.path.appending("summary.json"))
    try take(overwrite: true).release()
  }

  @Test("may not be the checkpoint, by whatever path")
  func checkpoint() throws {
    let output = OutputDirectory(folder.path.appending("."), of: MaskFiles.one, among: kinds)
    #expect(throws: RunFailure.self) {
      try output.claim(overwrite: true, resume: false, checkpoints: [folder.path])
    }
    #expect(folder.names == [])
  }

  @Test("is one run's at a time, and the next one's as soon as that is gone")
  func locked() throws {
    let first = try take()
    for (overwrite, resume) in [(false, false), (true, false), (false, true)] {
      let refusal = #expect(throws: RunFailure.self) { try take(overwrite: overwrite, resume: resume) }
      #expect(refusal?.message.contains("in use") == true)
    }
    // Never touched by those that were refused.
    #expect(try Folder.names(in: output.work) == ["lock"])
    first.release()
    _ = try take()
  }

  /// What a killed run leaves: its journal, and what it was about to finish.
  private func leaveJournal() throws {
    let killed = try take(overwrite: true)
    try write(1, to: output.identityFile)
    for name in ["scores-00000000.frogrec", "scores-00000001.frogrec.12.tmp", mask] {
      try write(1, to: output.work.appending(name))
    }
    killed.release()
  }

  @Test("with a journal is taken up only as asked")
  func journal() throws {
    try leaveJournal()
    let refusal = #expect(throws: RunFailure.self) { try take() }
    #expect(refusal?.message.contains("--resume") == true)
    let resumed = try take(resume: true)
    #expect(resumed.state == .unfinished)
    #expect(try Folder.names(in: output.work).count == 5)
    try resumed.tidy()
    #expect(try Folder.names(in: output.work) == ["identity.json", "lock", "scores-00000000.frogrec"])
    #expect(resumed.abandon())
    #expect(try Folder.names(in: output.work) == ["identity.json", "scores-00000000.frogrec"])
    let anew = try take(overwrite: true)
    #expect(anew.state == .fresh)
    #expect(try Folder.names(in: output.work) == ["lock"])
  }

  /// A run that has finished everything and published nothing, over the masks of another.
  private func commit() throws -> (OutputClaim, Publication) {
    for name in ["masks-00001-of-00002.safetensors", "masks-00002-of-00002.safetensors", "notes.txt", "names.json"] {
      try write(0, to: folder.path.appending(name))
    }
    for name in ["frog.json", "masks.safetensors.index.json"] { try write(0, to: folder.path.appending(name)) }
    let claim = try take(overwrite: true)
    try write(1, to: output.identityFile)
    try write(7, to: output.work.appending(mask))
    let publication = try Publication.commit(
      files: [PublishedFile(mask)],
      documents: [
        .init(name: "frog.json", content: [1]), .init(name: "run.json", content: [3]),
        .init(name: MaskFiles.indexName, content: [2]),
      ], in: output)
    return (claim, publication)
  }

  private var whole: [String] { ["frog.json", mask, MaskFiles.indexName, "notes.txt", "run.json"] }

  @Test("publishes the new masks, removes stale ones, and leaves other files alone")
  func publish() throws {
    let (claim, publication) = try commit()
    // Nothing that a reader sees has changed until now.
    #expect(try contents("frog.json") == [0] && contents(MaskFiles.indexName) == [0])
    try publication.apply(to: output)
    try claim.remove()
    #expect(folder.names == whole)
    #expect(try contents("frog.json") == [1] && contents(mask) == [7] && contents("run.json") == [3])
  }

  @Test("goes on with a publication from any point", arguments: 0...4)
  func interrupted(moved: Int) throws {
    let (killed, publication) = try commit()
    killed.release()
    try Folder.remove(folder.path.appending(MaskFiles.indexName))
    for entry in publication.entries.prefix(moved) {
      try DurableFile.rename(output.work.appending(entry.work), to: folder.path.appending(entry.name))
    }
    let claim = try take(resume: true)
    #expect(claim.state == .committed)
    // A failure here must not lose what waits to be published.
    try claim.tidy()
    try Publication.read(from: output).apply(to: output)
    try claim.remove()
    #expect(folder.names.filter { !$0.hasPrefix("masks-0000") && $0 != "names.json" } == whole.filter { $0 != mask })
    #expect(try contents("frog.json") == [1] && contents(mask) == [7] && contents("run.json") == [3])
    #expect(try contents(MaskFiles.indexName) == [2])
  }

  @Test("does not take a folder for finished that lost what was to be published")
  func lost() throws {
    let (_, publication) = try commit()
    try Folder.remove(output.work.appending(mask))
    #expect(throws: RunFailure.self) { try publication.apply(to: output) }
    #expect(!folder.names.contains(MaskFiles.indexName))
  }

  /// A run of two masks that has finished everything and published nothing, over a run of two others that was asked to be replaced.
  private func commitSeveral() throws -> (OutputDirectory, Publication) {
    for name in ["global-1%", "global-2%"] {
      try Folder.create(folder.path.appending(name))
      for file in [mask, "frog.json", MaskFiles.indexName, "notes.txt"] where name == "global-1%" || file != "notes.txt"
      {
        try write(0, to: folder.path.appending(name).appending(file))
      }
    }
    let old = MaskSet(
      version: "1", options: OptionWords(), threads: 1, checkpoint: RecordTests.record.checkpoint,
      coverage: RecordTests.record.coverage,
      masks: ["global-1%", "global-2%"].map { MaskSet.Mask(RecordTests.record, in: $0) })
    try DurableFile.writeWhole(Document.encode(old), to: folder.path.appending(MaskSet.fileName))
    let output = OutputDirectory(folder.path, of: MaskFiles.several, among: kinds)
    let claim = try output.claim(overwrite: true, resume: false, checkpoints: ["/nowhere"])
    try write(1, to: output.identityFile)
    var files: [PublishedFile] = []
    for name in ["global-1%", "uniform-3%"] {
      for file in ["frog.json", MaskFiles.indexName] {
        files.append(PublishedFile("\(name)-\(file)", as: file, in: name))
        try write(7, to: output.work.appending("\(name)-\(file)"))
      }
    }
    let publication = try Publication.commit(
      files: files,
      documents: [.init(name: "run.json", content: [3]), .init(name: MaskSet.fileName, content: [2])], in: output)
    claim.release()
    return (output, publication)
  }

  @Test("publishes several masks from any point, and removes those of older results only", arguments: 0...6)
  func several(calls: Int) throws {
    let (output, publication) = try commitSeveral()
    #expect(publication.obsolete == ["global-2%"])
    // The process is killed after some files of the first steps, or after some renames.
    try Folder.remove(folder.path.appending(MaskSet.fileName))
    if calls > 0 {
      for name in ["global-1%", "uniform-3%"] { try Folder.create(folder.path.appending(name)) }
      for name in [mask, "frog.json", MaskFiles.indexName] {
        try Folder.remove(folder.path.appending("global-1%").appending(name))
      }
    }
    for entry in publication.entries.prefix(max(0, calls - 1)) {
      try DurableFile.rename(output.work.appending(entry.work), to: folder.path.pushing(FilePath(entry.path)))
    }
    let claim = try output.claim(overwrite: false, resume: true, checkpoints: ["/nowhere"])
    #expect(claim.state == .committed)
    try claim.tidy()
    try Publication.read(from: output).apply(to: output)
    try claim.remove()
    #expect(folder.names == ["global-1%", MaskSet.fileName, "run.json", "uniform-3%"])
    #expect(
      try Folder.names(in: folder.path.appending("global-1%")) == ["frog.json", MaskFiles.indexName, "notes.txt"])
    #expect(try Folder.names(in: folder.path.appending("uniform-3%")) == ["frog.json", MaskFiles.indexName])
    for name in ["global-1%", "uniform-3%"] {
      #expect(try Document.contents(of: folder.path.appending(name).appending("frog.json")) == [7])
    }
    #expect(try contents(MaskSet.fileName) == [2])
  }

  @Test("a list of files that leads out of the folder is refused", arguments: ["..", ".", "a/b", ""])
  func hostile(name: String) throws {
    let (output, _) = try commitSeveral()
    let text = String(decoding: try Document.contents(of: output.commitFile), as: UTF8.self)
    for key in ["folder", "name", "work"] {
      let pattern = try Regex("\"\(key)\" : \"[^\"]+\"")
      let changed = text.replacing(pattern, with: "\"\(key)\" : \"\(name)\"", maxReplacements: 1)
      try DurableFile.writeWhole(Array(changed.utf8), to: output.commitFile)
      #expect(throws: RunFailure.self) { try Publication.read(from: output) }
    }
  }

  @Test("that is finished says so to who would resume")
  func finished() throws {
    let (claim, publication) = try commit()
    try publication.apply(to: output)
    try claim.remove()
    let again = try take(resume: true)
    #expect(again.state == .finished)
    #expect(!again.abandon())
    #expect(folder.names == whole)
  }
}

@Suite("Identity of a run")
struct RunIdentityTests {
  private func identity(
    keep: Int? = nil, budget: Double? = 0.01, version: String = "1", header: String = "h", weights: String = "w",
    bytes: Int = 10, file: String = "a.safetensors"
  ) -> RunIdentity {
    var parameters = RecordTests.record.parameters
    (parameters.keep, parameters.budget) = (keep, budget)
    return RunIdentity(
      version: version, command: "mask",
      options: MaskFiles.words([parameters], names: nil, audit: nil, teams: .memory),
      threads: parameters.tensors.threads,
      sources: [
        "checkpoint": .init(
          RecordTests.record.checkpoint, shards: [.init(file: file, bytes: bytes, header: header, weights: weights)])
      ])
  }

  @Test("of the same run has no differences, also when read back")
  func same() throws {
    let folder = try TemporaryFolder()
    let output = OutputDirectory(folder.path, of: MaskFiles.one, among: kinds)
    try Folder.create(output.work)
    try DurableFile.writeWhole(Document.encode(identity()), to: output.identityFile)
    let back = try RunIdentity(in: output)
    #expect(back.differences(now: identity()) == [])
    #expect(try back.digest() == identity().digest())
    #expect(try identity(budget: 0.02).digest() != identity().digest())
  }

  @Test("names each difference")
  func differences() {
    let begun = identity()
    #expect(begun.differences(now: identity(budget: 0.05)) == ["--budget was 0.01, is 0.05"])
    #expect(
      begun.differences(now: identity(keep: 3, budget: nil)) == ["--budget was 0.01, is none", "--keep was none, is 3"])
    #expect(begun.differences(now: identity(version: "2")) == ["the program was version 1, is 2"])
    #expect(
      begun.differences(now: identity(header: "i")) == [
        "the checkpoint was another one: the header of 'a.safetensors' has changed"
      ])
    #expect(
      begun.differences(now: identity(weights: "x")) == [
        "the checkpoint was another one: weights in 'a.safetensors' have changed"
      ])
    #expect(
      begun.differences(now: identity(bytes: 11)) == [
        "the checkpoint was another one: 'a.safetensors' had 10 bytes, has 11"
      ])
    #expect(
      begun.differences(now: identity(file: "b.safetensors")) == [
        "the checkpoint was another one: 'a.safetensors' held weights, does not now, 'b.safetensors' is new"
      ])
  }
}

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
        #expect(slice.contains(storedPosition: position) == (slab == expert && column >= 4), "\(position)")
      }
    }
    let own = (0..<16).map(slices[1].storedPosition)
    #expect(own == own.sorted() && own.allSatisfy { slices[1].contains(storedPosition: $0) })
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
