import ShardIO
import SystemPackage
import Testing

@Suite("Messages")
struct MessageTests {
  @Test("control, direction and quote characters of a name are escaped")
  func escaped() {
    #expect(quoted("a\n\u{1B}[2J\u{0}\u{202E}b'\\é") == #"'a\u{a}\u{1b}[2J\u{0}\u{202e}b\'\\é'"#)
  }

  @Test("long names are cut")
  func cut() {
    let text = quoted(String(repeating: "x", count: 1 << 20))
    #expect(text.count < 160)
    #expect(text.contains("1048576 bytes"))
  }

  @Test(
    "every rule in words",
    arguments: [
      (.fileTooSmall(size: 3), "the file has 3 bytes, fewer than the 8 that give the length of a safetensors header"),
      (
        .headerTooLarge(claimed: 100_000_001),
        "the header claims 100000001 bytes, above the format's limit of 100000000; is this a safetensors file?"
      ),
      (
        .headerPastEnd(claimed: 9, fileSize: 10),
        "the header claims 9 bytes after the first 8, but the file has 10; it may be cut short"
      ),
      (
        .json(JSONError(problem: .trailingComma, offset: 7)),
        "the header's JSON has a comma before a closing bracket, at byte 7"
      ),
      (
        .notAnObject(what: "__metadata__", found: "an array"), "__metadata__ must be a JSON object, found an array"
      ),
      (
        .metadataNotString(key: "k", found: "null"), "the value of 'k' in __metadata__ must be a string, found null"
      ),
      (.duplicateMetadata(key: "k"), "the metadata key 'k' comes twice"),
      (.duplicateTensor("t"), "tensor 't' comes twice in the header"),
      (.missingField(tensor: "t", field: "shape"), "tensor 't' has no shape"),
      (.duplicateField(tensor: "t", field: "shape"), "tensor 't' has shape twice"),
      (
        .wrongType(tensor: "t", field: "dtype", expected: "a string", found: "null"),
        "tensor 't': dtype must be a string, found null"
      ),
      (
        .wrongNumber(tensor: "t", field: "shape", found: "-1"),
        "tensor 't': shape must hold whole numbers from 0 to 9223372036854775807, found '-1'"
      ),
      (.unknownDType(tensor: "t", found: "f32"), "tensor 't' has the unknown dtype 'f32'"),
      (
        .reversedOffsets(tensor: "t", begin: 4, end: 0),
        "tensor 't' ends at byte 0 of the data, before it begins at 4"
      ),
      (
        .holeOrOverlap(tensor: "t", begin: 8, expected: 4),
        "tensor 't' begins at byte 8 of the data, but the tensors before it end at 4"
      ),
      (
        .sizeOverflow(tensor: "t", shape: [1 << 62, 1 << 62], dtype: .f32),
        "tensor 't': the size of F32 [4611686018427387904, 4611686018427387904] overflows 64 bits"
      ),
      (.partialByte(tensor: "t", bits: 18), "tensor 't' has 18 bits, which is no whole number of bytes"),
      (
        .sizeMismatch(tensor: "t", shape: 8, offsets: 4),
        "tensor 't' needs 8 bytes by its shape and dtype, but its data_offsets span 4"
      ),
      (
        .wrongFileSize(claimed: 80, fileSize: 79),
        "the header describes a file of 80 bytes, but it has 79; it may be cut short"
      ),
      (.wrongFileSize(claimed: 80, fileSize: 81), "the header describes a file of 80 bytes, but it has 81"),
    ] as [(HeaderError, String)])
  func words(error: HeaderError, text: String) {
    #expect(error.description == text)
  }

  @Test("every problem of JSON reads on after the name of the document")
  func jsonProblems() {
    for problem in JSONError.Problem.allCases {
      let text = HeaderError.json(JSONError(problem: problem, offset: 1)).description
      #expect(text.hasPrefix("the header's JSON ") && text.hasSuffix(", at byte 1"))
      #expect(["is ", "has ", "lacks ", "ends ", "goes "].contains { problem.rawValue.hasPrefix($0) }, "\(text)")
    }
  }

  @Test("an error stays one short line, whatever the header holds")
  func oneLine() {
    let name = String(repeating: "\u{7}\n", count: 10_000)
    let shape = Array(repeating: 9, count: 10_000)
    let errors: [HeaderError] = [
      .duplicateTensor(name), .unknownDType(tensor: name, found: name), .metadataNotString(key: name, found: "null"),
      .wrongNumber(tensor: name, field: "shape", found: name), .sizeOverflow(tensor: name, shape: shape, dtype: .f32),
    ]
    for error in errors {
      #expect(error.description.utf8.count < 2000)
      #expect(error.description.utf8.allSatisfy { $0 >= 0x20 })
    }
  }
}
