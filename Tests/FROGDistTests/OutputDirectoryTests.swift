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

  @Test(
    "a list of files that leads out of the folder is refused",
    arguments: ["..", ".", "a/../..", "/a", "a//b", "a/b", ""])
  func hostile(name: String) throws {
    let (output, _) = try commitSeveral()
    let text = String(decoding: try Document.contents(of: output.commitFile), as: UTF8.self)
    // Folders may lie in each other, and files only in folders.
    for key in ["name", "work"] + (name == "a/b" ? [] : ["folder"]) {
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
