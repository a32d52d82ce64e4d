import ShardIO
import SystemPackage
import TestSupport
import Testing

private let indexName = ShardIndex.fileName

/// An index from pairs of tensor and file, in the order given.
private func index(_ map: [(String, String)], metadata: String = "{}") -> String {
  let lines = map.map { #""\#($0.0)":"\#($0.1)""# }.joined(separator: ",")
  return #"{"metadata":\#(metadata),"weight_map":{\#(lines)}}"#
}

private func refusal(_ folder: TemporaryFolder, _ name: String = "") -> CheckpointError? {
  #expect(throws: CheckpointError.self) {
    try Checkpoint.open(name.isEmpty ? folder.path : folder.path.appending(name), io: .mmap)
  }
}

@Suite("Checkpoints that open")
struct OpeningTests {
  @Test(
    "the digest of a header is that of all bytes before the data, and of no others",
    arguments: [SourceKind.mmap, .pread])
  func headerDigest(io: SourceKind) throws {
    let folder = try TemporaryFolder()
    let json = "{\(ShardBytes.entry("t"))}"
    for data: [UInt8] in [[0, 0, 0, 0], [1, 2, 3, 4]] {
      let file = try folder.write(ShardBytes.file(json, data: data), to: "model.safetensors")
      let digest = try Checkpoint.open(file, io: io).shards[0].header.digest
      // By sha256sum.
      #expect(
        digest.map { String(256 + Int($0), radix: 16).dropFirst() }.joined()
          == "5c1fb3dd053471bfe6cd1035642de0eb0b90525ded6d9668660e7c9de80fe03f")
    }
    let blank = try folder.write(ShardBytes.file(json + " ", data: [0, 0, 0, 0]), to: "blank.safetensors")
    #expect(try Checkpoint.open(blank, io: io).shards[0].header.digest.starts(with: [0x5c, 0x1f]) == false)
  }

  @Test("one file", arguments: SourceKind.allCases)
  func file(io: SourceKind) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(ShardBytes.file(scalars: ["b", "a"]), to: "x.bin")
    let checkpoint = try Checkpoint.open(path, io: io)
    #expect(checkpoint.path == path)
    #expect(checkpoint.shards.map(\.fileName) == ["x.bin"])
    #expect(checkpoint.tensors.map(\.info.name) == ["a", "b"])
    #expect(checkpoint.warnings.isEmpty)
  }

  @Test("a folder with an index", arguments: SourceKind.allCases)
  func withIndex(io: SourceKind) throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["c", "a"]), to: "model-00002-of-000002.safetensors")
    try folder.write(ShardBytes.file(scalars: ["B", "é"]), to: "model-00001-of-000002.safetensors")
    let map = ["é": 1, "a": 2, "B": 1, "c": 2].map { ($0.key, "model-0000\($0.value)-of-000002.safetensors") }
    try folder.write(index(map, metadata: #"{"x":[],"total_size":16}"#), to: indexName)
    let checkpoint = try Checkpoint.open(folder.path, io: io)
    #expect(checkpoint.shards.map(\.fileName) == (1...2).map { "model-0000\($0)-of-000002.safetensors" })
    #expect(checkpoint.tensors.map(\.info.name) == ["B", "a", "c", "é"])
    #expect(checkpoint.tensors.map(\.shard) == [0, 1, 1, 0])
    #expect(checkpoint.shards[1].path == folder.path.appending("model-00002-of-000002.safetensors"))
    #expect(checkpoint.warnings.isEmpty)
  }

  @Test("a folder without an index: every shard, hidden files left out")
  func withoutIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["b"]), to: "z.safetensors")
    try folder.write(ShardBytes.file(scalars: ["a"]), to: "Z.safetensors")
    try folder.write("not a shard", to: "._z.safetensors")
    try folder.write("{}", to: "config.json")
    let checkpoint = try Checkpoint.open(folder.path, io: .mmap)
    #expect(checkpoint.shards.map(\.fileName) == ["Z.safetensors", "z.safetensors"])
    #expect(checkpoint.warnings.isEmpty)
  }

  @Test("symbolic links, as in the Hugging Face cache")
  func links() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("blobs")
    try folder.makeFolder("snapshot")
    try folder.write(ShardBytes.file(scalars: ["a"]), to: "blobs/1f")
    try folder.write(index([("a", "model.safetensors")]), to: "blobs/2e")
    try folder.makeLink("snapshot/model.safetensors", to: "../blobs/1f")
    try folder.makeLink("snapshot/\(indexName)", to: "../blobs/2e")
    let checkpoint = try Checkpoint.open(folder.path.appending("snapshot"), io: .mmap)
    #expect(checkpoint.tensors.map(\.info.name) == ["a"])
    #expect(checkpoint.warnings.isEmpty)
  }

  @Test("names order by UTF-8 bytes, not as Swift strings do")
  func order() throws {
    let names = ["e\u{301}", "é", "f", "\u{FF5E}", "\u{1F600}", "Z", "layers.10", "layers.2", ""]
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: names), to: "model.safetensors")
    let found = try Checkpoint.open(folder.path, io: .mmap).tensors.map { Array($0.info.name.utf8) }
    let exact = names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(found == exact)
    #expect(Checkpoint.bytewiseLess("e\u{301}", "é"))
    #expect(!Checkpoint.bytewiseLess("é", "e\u{301}"))
    #expect(!Checkpoint.bytewiseLess("a", "a"))
    #expect(Checkpoint.bytewiseLess("a", "aa"))
  }
}

@Suite("Checkpoints with a warning")
struct WarningTests {
  @Test("an index wins over model.safetensors")
  func indexWins() throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["a"]), to: "model-00001-of-00001.safetensors")
    try folder.write("not even a shard", to: "model.safetensors")
    try folder.write(index([("a", "model-00001-of-00001.safetensors")]), to: indexName)
    let checkpoint = try Checkpoint.open(folder.path, io: .mmap)
    #expect(checkpoint.shards.map(\.fileName) == ["model-00001-of-00001.safetensors"])
    #expect(checkpoint.warnings == ["'model.safetensors' is ignored: \(indexName) does not mention it"])
  }

  @Test("an index of another name does not count beside what Hugging Face loads")
  func otherIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["a"]), to: "model.safetensors")
    try folder.write("broken", to: "other.safetensors.index.json")
    let checkpoint = try Checkpoint.open(folder.path, io: .mmap)
    #expect(checkpoint.warnings == ["'other.safetensors.index.json' is ignored: 'model.safetensors' is the model"])
  }

  @Test("tensors that the index does not mention are kept")
  func unmapped() throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["c", "a", "b"]), to: "s.safetensors")
    try folder.write(index([("a", "s.safetensors")]), to: indexName)
    let checkpoint = try Checkpoint.open(folder.path, io: .mmap)
    #expect(checkpoint.tensors.count == 3)
    #expect(
      checkpoint.warnings == [
        "\(indexName) does not mention 2 of the tensors in its shards; the first is 'b' in 's.safetensors'"
      ])
  }

  @Test("more bytes than an Int counts, in sparse files", .enabled(if: (try? FilePath("/dev/shm").stat()) != nil))
  func hugeFiles() throws {
    // The one file system at hand whose files may be so large.
    let folder = try TemporaryFolder(in: "/dev/shm")
    let size = (1 << 60) - 1
    for file in 0..<3 {
      let entries = (0..<7).map { ShardBytes.entry("\(file).\($0)", "U8", [size], at: $0 * size, to: ($0 + 1) * size) }
      let header = ShardBytes.file("{\(entries.joined(separator: ","))}")
      let path = try folder.write(header, to: "\(file).s")
      try TemporaryFolder.truncate(path, to: header.count + 7 * size)
    }
    let map = (0..<21).map { ("\($0 / 7).\($0 % 7)", "\($0 / 7).s") }
    try folder.write(index(map, metadata: #"{"total_size":1}"#), to: indexName)
    let warning = "\(indexName) claims total_size '1', but the tensors have 24211351596743786475 bytes"
    #expect(try Checkpoint.open(folder.path, io: .pread).warnings == [warning])
  }

  @Test("a wrong total_size", arguments: [("9", true), ("8.0", true), ("-8", true), ("8", false), ("null", false)])
  func totalSize(claim: String, warns: Bool) throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["a", "b"]), to: "s.safetensors")
    let map = [("a", "s.safetensors"), ("b", "s.safetensors")]
    try folder.write(index(map, metadata: #"{"total_size":\#(claim)}"#), to: indexName)
    let warning = "\(indexName) claims total_size '\(claim)', but the tensors have 8 bytes"
    #expect(try Checkpoint.open(folder.path, io: .mmap).warnings == (warns ? [warning] : []))
  }
}

@Suite("Checkpoints that are refused")
struct RefusedCheckpointTests {
  @Test("nothing there")
  func missing() throws {
    let folder = try TemporaryFolder()
    let error = refusal(folder, "none")
    #expect(error?.kind == .noInput)
    #expect(error?.description == "cannot open \(folder.path.appending("none")): No such file or directory")
  }

  @Test("a folder without shards")
  func noShards() throws {
    let folder = try TemporaryFolder()
    #expect(refusal(folder)?.kind == .noInput)
    #expect(refusal(folder)?.description == "\(folder.path): there is no \(indexName) and no *.safetensors")
    for name in ["pytorch_model.bin", "consolidated.00.pth"] {
      let folder = try TemporaryFolder()
      try folder.write("x", to: name)
      #expect(refusal(folder)?.description.hasSuffix("; convert '\(name)' and its like to safetensors first") == true)
    }
  }

  @Test("the index itself in place of its folder")
  func indexAsFile() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: indexName)
    #expect(refusal(folder, indexName)?.kind == .noInput)
    #expect(refusal(folder, indexName)?.description.hasSuffix("give its folder instead") == true)
  }

  @Test("a folder with the name of a shard, a device, a dangling link")
  func notFiles() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("a.safetensors")
    #expect(refusal(folder)?.description.hasSuffix("it is not a regular file") == true)
    #expect(throws: CheckpointError.self) { try Checkpoint.open("/dev/null", io: .pread) }
    let dangling = try TemporaryFolder()
    try dangling.makeLink("a.safetensors", to: "gone")
    #expect(refusal(dangling)?.kind == .noInput)
  }

  @Test("a bad header, with the name of its file")
  func badHeader() throws {
    let folder = try TemporaryFolder()
    try folder.write([1, 2, 3], to: "a.safetensors")
    let error = refusal(folder)
    #expect(error?.kind == .data)
    #expect(error?.headerError == .fileTooSmall(size: 3))
    #expect(error?.description.hasPrefix("\(folder.path.appending("a.safetensors")): the file has 3 bytes") == true)
  }

  @Test("one tensor in two shards, with and without an index", arguments: [true, false])
  func twice(hasIndex: Bool) throws {
    let folder = try TemporaryFolder()
    try folder.write(ShardBytes.file(scalars: ["a", "t"]), to: "1.safetensors")
    try folder.write(ShardBytes.file(scalars: ["t", "b"]), to: "2.safetensors")
    if hasIndex {
      try folder.write(index([("a", "1.safetensors"), ("b", "2.safetensors"), ("t", "1.safetensors")]), to: indexName)
    }
    let error = refusal(folder)
    #expect(error?.kind == .data)
    #expect(
      error?.description
        == "\(folder.path): tensor 't' is in two shards, '1.safetensors' and '2.safetensors'; remove one")
  }

  @Test("a shard that is not there")
  func missingShard() throws {
    let folder = try TemporaryFolder()
    try folder.write(index([("t", "1.safetensors"), ("u", "1.safetensors")]), to: indexName)
    let error = refusal(folder)
    #expect(error?.kind == .noInput)
    #expect(
      error?.description == "\(folder.path.appending("1.safetensors")): there is no such file, but the index maps "
        + "tensor 't' to it; download the missing shard")
  }

  @Test("a tensor that is in another shard, or in none")
  func misplaced() throws {
    let folder = try TemporaryFolder()
    let file = folder.path.appending(indexName)
    try folder.write(ShardBytes.file(scalars: ["a"]), to: "1.safetensors")
    try folder.write(ShardBytes.file(scalars: ["b"]), to: "2.safetensors")
    try folder.write(index([("a", "2.safetensors"), ("b", "1.safetensors")]), to: indexName)
    #expect(
      refusal(folder)?.description == "\(file): tensor 'a' is mapped to '2.safetensors', but it is in '1.safetensors'")
    try folder.write(index([("a", "1.safetensors"), ("c", "2.safetensors")]), to: indexName)
    #expect(refusal(folder)?.kind == .data)
    #expect(
      refusal(folder)?.description == "\(file): tensor 'c' is mapped to '2.safetensors', which has no such tensor")
  }

  @Test("an index that is none")
  func badIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write("[]", to: indexName)
    #expect(refusal(folder)?.kind == .data)
    #expect(
      refusal(folder)?.description
        == "\(folder.path.appending(indexName)): the index must be a JSON object, found an array")
  }
}

@Suite("The text of an index")
struct ShardIndexTests {
  @Test("entries come as written")
  func entries() throws {
    let text = #"{"x":[1],"weight_map":{"b":"2.safetensors","a":"1.safetensors"},"metadata":null}"#
    let found = try ShardIndex.parse(Array(text.utf8))
    #expect(found.entries.map(\.tensor) == ["b", "a"])
    #expect(found.entries.map(\.file) == ["2.safetensors", "1.safetensors"])
    #expect(found.totalSize == nil)
    #expect(try ShardIndex.parse(Array(#"{"weight_map":{}}"#.utf8)).entries.isEmpty)
  }

  @Test("tensors side by side share a file name, and only where it is the same")
  func sharedNames() throws {
    let files = ["1.s", "1.s", "1.st", "1.s", "1", "1", "2.s"]
    let found = try ShardIndex.parse(Array(index(files.enumerated().map { ("\($0)", $1) }).utf8))
    #expect(found.entries.map(\.file) == files)
    let escaped = #"{"weight\u005fmap":{"a":"1.s","b":"\u0031.s"},"meta\u0064ata":{"total\u005fsize":7}}"#
    #expect(try ShardIndex.parse(Array(escaped.utf8)).entries.map(\.file) == ["1.s", "1.s"])
    #expect(try ShardIndex.parse(Array(escaped.utf8)).totalSize == "7")
    #expect(throws: ShardIndexError.badFileName(tensor: "b", file: "../1.s")) {
      try ShardIndex.parse(Array(index([("a", "1.s"), ("b", "../1.s")]).utf8))
    }
  }

  @Test("half a million combining marks take no longer than other text", .timeLimit(.minutes(1)))
  func combiningMarks() throws {
    let marks = String(repeating: "\u{301}\u{323}", count: 250_000)
    let text =
      "{\"\(marks)\":1,\"metadata\":{\"\(marks)\":1},\"weight_map\":{\"\(marks)\":\"\(marks)\",\"b\":\"\(marks)\"}}"
    #expect(try ShardIndex.parse(Array(text.utf8)).entries.map(\.tensor.utf8.count) == [1_000_000, 1])
  }

  @Test(
    "file names that reach elsewhere, or that no file has",
    arguments: ["", ".", "..", "../a", "a/b", "/a", "a\\\\b", "a..b", "a\\u0000", "a\\u002fb"])
  func fileNames(name: String) {
    let error = #expect(throws: ShardIndexError.self) { try ShardIndex.parse(Array(index([("t", name)]).utf8)) }
    guard case .badFileName(tensor: "t", file: _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(
    "broken rules",
    arguments: [
      ("", .json(JSONError(problem: .unexpectedEnd, offset: 0))),
      ("{} x", .json(JSONError(problem: .trailingCharacters, offset: 3))),
      ("{}", .noWeightMap), ("null", .notAnObject(what: "the index", found: "null")),
      (#"{"weight_map":[]}"#, .notAnObject(what: "weight_map", found: "an array")),
      (#"{"weight_map":{},"weight_map":{}}"#, .duplicateWeightMap),
      (#"{"weight_map":{"t":"a","t":"a"}}"#, .duplicateTensor("t")),
      (#"{"weight_map":{"t":null}}"#, .fileNotString(tensor: "t", found: "null")),
    ] as [(String, ShardIndexError)])
  func broken(text: String, error: ShardIndexError) {
    #expect(throws: error) { try ShardIndex.parse(Array(text.utf8)) }
  }

  @Test(
    "every rule in words",
    arguments: [
      (.json(JSONError(problem: .unexpectedEnd, offset: 0)), "the JSON ends in the middle of a value, at byte 0"),
      (.notAnObject(what: "the index", found: "null"), "the index must be a JSON object, found null"),
      (.noWeightMap, "there is no weight_map"), (.duplicateWeightMap, "weight_map comes twice"),
      (.duplicateTensor("t"), "tensor 't' comes twice in weight_map"),
      (.fileNotString(tensor: "t", found: "null"), "the file of tensor 't' must be a string, found null"),
      (
        .badFileName(tensor: "t", file: "../a"),
        "tensor 't' is mapped to '../a'; a shard must be a file beside the index, its name without / \\ .. or NUL"
      ),
    ] as [(ShardIndexError, String)])
  func words(error: ShardIndexError, text: String) {
    #expect(error.description == text)
  }
}
