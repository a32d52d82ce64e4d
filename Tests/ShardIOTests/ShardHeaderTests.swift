import ShardIO
import SystemPackage
import Testing

/// Parses the text as the header of a file with `data` bytes after it.
func parse(_ json: String, data: Int = 4) throws(HeaderError) -> ShardHeader {
  try ShardHeader.parse(header: Array(json.utf8), fileSize: 8 + json.utf8.count + data)
}

private let t = ShardBytes.entry("t")
/// A good entry with room for one more field.
private func entry(with field: String) -> String {
  #"{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],\#(field)}}"#
}

@Suite("Headers that are accepted")
struct AcceptedHeaderTests {
  @Test("every field arrives")
  func fields() throws {
    let json = #"{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#
    let header = try parse(json, data: 12)
    let start = 8 + json.utf8.count
    #expect(header.tensors == [TensorInfo(name: "w", dtype: .bf16, shape: [2, 3], byteRange: start..<start + 12)])
    #expect(header.metadata == [ExactName("format"): "pt"])
    #expect(header.dataStart == start)
    #expect(header.fileSize == start + 12)
    #expect(header.tensors[0].elementCount == 6)
  }

  @Test("every dtype has its name and width", arguments: DType.allCases)
  func dtypes(dtype: DType) throws {
    let header = try parse("{\(ShardBytes.entry("t", dtype.rawValue, [8], to: dtype.bits))}", data: dtype.bits)
    #expect(header.tensors[0].dtype == dtype)
  }

  @Test("the 22 dtypes of the reference reader are those")
  func dtypeNames() {
    let reference = """
      BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 \
      F64 I64 U64
      """
    #expect(DType.allCases.map(\.rawValue) == reference.split(separator: " ").map(String.init))
    #expect(DType.allCases.filter(\.isDecodable) == [.f8E5M2, .f8E4M3, .f16, .bf16, .f32, .f64])
  }

  @Test(
    "what the reference reader allows",
    arguments: [
      "{\(t)}  ", " \t\r\n{\(t)}\r\n", "{\(t),\"__metadata__\":null}", "{\(t),\"__metadata__\":{}}",
      #"{"t":{"data_offsets":[0,4],"shape":[],"dtype":"F32"}}"#,
      #"{"t":{"\u0064type":"F32","shape" : [ 1 , 1 ] ,"data_offsets":[0,4]}}"#,
      #"{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      #"{"../\u0000":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      entry(with: #""x":[{"y":[]},-0,1.5e-3,1e-999,18446744073709551616,true,false,null]"#),
      entry(with: #""x":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é""#),
      entry(with: #""x":1,"x":2"#),
      entry(with: "\"x\":" + String(repeating: "[", count: 125) + String(repeating: "]", count: 125)),
    ])
  func allowed(json: String) throws {
    #expect(try parse(json).tensors.count == 1)
  }

  @Test("escapes in a name are resolved")
  func escapes() throws {
    let header = try parse(#"{"a\"\\\/\b\f\n\r\t\u00E9\ud83d\ude00é":\#(t.dropFirst(4))}"#)
    #expect(header.tensors[0].name == "a\"\\/\u{8}\u{C}\n\r\t\u{E9}\u{1F600}é")
  }

  @Test("metadata keys differ by their bytes, as names do")
  func metadataKeys() throws {
    let header = try parse(#"{"__metadata__":{"\u00e9":"1","e\u0301":"2"}}"#, data: 0)
    #expect(header.metadata == [ExactName("\u{E9}"): "1", ExactName("e\u{301}"): "2"])
  }

  @Test("tensors come by offset, equal offsets by the bytes of the name")
  func order() throws {
    let empty = ["é", "e\u{301}", "b", "B"].map { ShardBytes.entry($0, "F32", [0], at: 4, to: 4) }
    let json = "{\((empty + [ShardBytes.entry("z"), ShardBytes.entry("a", at: 4, to: 8)]).joined(separator: ","))}"
    let names = try parse(json, data: 8).tensors.map { Array($0.name.utf8) }
    #expect(names == ["z", "B", "b", "e\u{301}", "é", "a"].map { Array($0.utf8) })
  }

  @Test("a zero dimension absorbs dimensions that would overflow after it")
  func zeroDimension() throws {
    let shape = [0, Int.max, Int.max]
    let tensor = try parse("{\(ShardBytes.entry("t", "F32", shape, to: 0))}", data: 0).tensors[0]
    #expect(tensor.shape == shape)
    #expect(tensor.elementCount == 0)
    let wide = [1 << 61, 6, 0]
    #expect(try parse("{\(ShardBytes.entry("t", "F4", wide, to: 0))}", data: 0).tensors[0].elementCount == 0)
  }

  @Test("fields and types may be written with escapes; fields that only begin alike are others")
  func escapedFields() throws {
    let fields = #""dtyp":1,"dtypes":2,"":3,"shap\u0065":[1],"\u0064type":"\u00463\u0032","data\u005Foffsets":[0,4]"#
    #expect(try parse("{\"t\":{\(fields)}}").tensors[0].dtype == .f32)
    #expect(try parse(#"{"\u005f_metadata__":{"a":"b"},\#(t)}"#).metadata == ["a": "b"])
  }

  @Test("shapes arrive as written, whether they repeat or not")
  func manyShapes() throws {
    let shapes = (0..<4000).map { [0, $0 % 3000, $0 / 7 % 2] + Array(repeating: 1, count: $0 % 5) }
    let entries = shapes.enumerated().map { ShardBytes.entry("\($0)", "U8", $1, to: 0) }
    let tensors = try parse("{\(entries.joined(separator: ","))}", data: 0).tensors
    #expect(tensors.allSatisfy { Int($0.name).map { shapes[$0] } == $0.shape })
  }

  // Seconds if anything compares such a text as a `String`: Swift then sorts the marks by insertion.
  @Test("half a million combining marks take no longer than other text", .timeLimit(.minutes(1)))
  func combiningMarks() throws {
    let marks = String(repeating: "\u{301}\u{323}", count: 250_000)
    let header = try parse("{\"__metadata__\":{\"\(marks)\":\"\(marks)\"},\(ShardBytes.entry(marks))}")
    #expect(header.metadata[ExactName(marks)]?.utf8.count == 1_000_000)
    #expect(header.tensors[0].name.utf8.count == 1_000_000)
    #expect(try parse(entry(with: "\"\(marks)\":\"\(marks)\"")).tensors.count == 1)
    let error = #expect(throws: HeaderError.self) { try parse("{\(ShardBytes.entry("t", marks))}") }
    guard case .unknownDType = error else { throw try #require(error) }
  }

  @Test("no tensors at all")
  func empty() throws {
    #expect(try parse("{}", data: 0).tensors.isEmpty)
  }

  @Test("100,000 tensors")
  func many() throws {
    let entries = (0..<100_000).map { ShardBytes.entry("layer.\($0)", at: 4 * $0, to: 4 * $0 + 4) }
    let header = try parse("{\(entries.joined(separator: ","))}", data: 400_000)
    #expect(header.tensors[99_999].name == "layer.99999")
  }
}

@Suite("Headers that are refused")
struct RefusedHeaderTests {
  @Test(
    "JSON that is none",
    arguments: [
      ("", JSONError.Problem.unexpectedEnd, 0), ("{", .unexpectedEnd, 1), ("{\(t)", .unexpectedEnd, 1 + t.utf8.count),
      ("\u{FEFF}{}", .byteOrderMark, 0), ("{}\0", .trailingCharacters, 2), ("{}{", .trailingCharacters, 2),
      ("{/**/}", .keyExpected, 1), ("{1:2}", .keyExpected, 1), ("{,}", .keyExpected, 1), ("{\"t\"}", .colonExpected, 4),
      ("{\"t\"", .unexpectedEnd, 4), ("{\"t", .unexpectedEnd, 3), ("{\(t),}", .trailingComma, 2 + t.utf8.count),
      ("{\(t) \(t)}", .commaExpected, 2 + t.utf8.count), ("{\"t\u{1F}\":1}", .controlCharacter, 3),
      ("{\"\\\u{1}\":1}", .invalidEscape, 3), ("{\"\\n\u{1}\":1}", .controlCharacter, 4), ("{\"\\", .unexpectedEnd, 3),
      ("{\"\\x\":1}", .invalidEscape, 3), ("{\"\\u00g0\":1}", .invalidEscape, 6), ("{\"\\u00", .unexpectedEnd, 6),
      ("{\"\\ud800\":1}", .loneSurrogate, 4), ("{\"\\udc00\":1}", .loneSurrogate, 4),
      ("{\"\\udc00\\udc00\":1}", .loneSurrogate, 4),
      ("{\"\\ud800\\n\":1}", .loneSurrogate, 4), ("{\"\\ud800\\u0041\":1}", .loneSurrogate, 4),
    ] as [(String, JSONError.Problem, Int)])
  func syntax(json: String, problem: JSONError.Problem, offset: Int) {
    #expect(throws: HeaderError.json(JSONError(problem: problem, offset: offset))) { try parse(json) }
  }

  @Test(
    "values that are none, inside a field nobody reads",
    arguments: [
      ("01", .invalidNumber), ("-", .invalidNumber), ("1.", .invalidNumber), ("1e", .invalidNumber),
      ("1e+", .invalidNumber), ("-01", .invalidNumber), (".5", .valueExpected), ("+1", .valueExpected),
      ("NaN", .valueExpected), ("truE", .valueExpected), ("nul", .valueExpected), ("1e999", .numberOutOfRange),
      (String(repeating: "9", count: 400), .numberOutOfRange), ("[1,]", .trailingComma), ("[1 2]", .commaExpected),
      ("[1}", .commaExpected), ("\u{C}1", .valueExpected), ("\"\\ud800\"", .loneSurrogate),
      (String(repeating: "[", count: 126), .tooDeep), (String(repeating: "{\"a\":", count: 126), .tooDeep),
    ] as [(String, JSONError.Problem)])
  func ignoredValues(value: String, problem: JSONError.Problem) throws {
    let error = #expect(throws: HeaderError.self) { try parse(entry(with: "\"x\":\(value)")) }
    guard case .json(let json) = error else { throw try #require(error) }
    #expect(json.problem == problem)
  }

  @Test(
    "bytes that are not UTF-8, before any other rule",
    arguments: [[0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xFF], [0xF5, 0x80, 0x80, 0x80], [0xC3]] as [[UInt8]])
  func utf8(bytes: [UInt8]) {
    let header = Array("[\"".utf8) + bytes + Array("\"]".utf8)
    #expect(throws: HeaderError.json(JSONError(problem: .invalidUTF8, offset: 2))) {
      try ShardHeader.parse(header: header, fileSize: 8 + header.count)
    }
  }

  @Test(
    "documents that say something else",
    arguments: [
      ("[]", .notAnObject(what: "the header", found: "an array")),
      ("\"x\"", .notAnObject(what: "the header", found: "a string")),
      ("null", .notAnObject(what: "the header", found: "null")),
      ("tru", .notAnObject(what: "the header", found: "a boolean")),
      ("7", .notAnObject(what: "the header", found: "a number")),
      ("{\"__metadata__\":[]}", .notAnObject(what: "__metadata__", found: "an array")),
      ("{\"__metadata__\":{\"a\":null}}", .metadataNotString(key: "a", found: "null")),
      ("{\"__metadata__\":{\"a\":{}}}", .metadataNotString(key: "a", found: "an object")),
      ("{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", .duplicateMetadata(key: "a")),
      ("{\"__metadata__\":null,\"__metadata__\":null}", .duplicateMetadata(key: "__metadata__")),
      ("{\(t),\(t)}", .duplicateTensor("t")), ("{\(t),\"\\u0074\":1}", .duplicateTensor("t")),
      ("{\"t\":null}", .wrongType(tensor: "t", field: "its entry", expected: "an object", found: "null")),
      (
        "{\"t\":[\"F32\",[1],[0,4]]}",
        .wrongType(tensor: "t", field: "its entry", expected: "an object", found: "an array")
      ),
      ("{\"t\":{}}", .missingField(tensor: "t", field: "dtype")),
      ("{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", .missingField(tensor: "t", field: "shape")),
      ("{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}", .missingField(tensor: "t", field: "data_offsets")),
      (entry(with: "\"dtype\":\"F32\""), .duplicateField(tensor: "t", field: "dtype")),
      (entry(with: "\"shape\":[1]"), .duplicateField(tensor: "t", field: "shape")),
      (entry(with: "\"data_offsets\":[0,4]"), .duplicateField(tensor: "t", field: "data_offsets")),
      ("{\"t\":{\"dtype\":null}}", .wrongType(tensor: "t", field: "dtype", expected: "a string", found: "null")),
      (
        "{\"t\":{\"dtype\":{\"F32\":null}}}",
        .wrongType(tensor: "t", field: "dtype", expected: "a string", found: "an object")
      ),
      ("{\"t\":{\"dtype\":\"f32\"}}", .unknownDType(tensor: "t", found: "f32")),
      ("{\"t\":{\"shape\":4}}", .wrongType(tensor: "t", field: "shape", expected: "an array", found: "a number")),
      (
        "{\"t\":{\"shape\":[\"2\"]}}",
        .wrongType(tensor: "t", field: "each element of shape", expected: "a number", found: "a string")
      ),
      ("{\"t\":{\"shape\":[2.0]}}", .wrongNumber(tensor: "t", field: "shape", found: "2.0")),
      ("{\"t\":{\"shape\":[1e0]}}", .wrongNumber(tensor: "t", field: "shape", found: "1e0")),
      ("{\"t\":{\"shape\":[-0]}}", .wrongNumber(tensor: "t", field: "shape", found: "-0")),
      ("{\"t\":{\"shape\":[-1]}}", .wrongNumber(tensor: "t", field: "shape", found: "-1")),
      (
        "{\"t\":{\"shape\":[9223372036854775808]}}",
        .wrongNumber(tensor: "t", field: "shape", found: "9223372036854775808")
      ),
      (
        "{\"t\":{\"shape\":[18446744073709551616]}}",
        .wrongNumber(tensor: "t", field: "shape", found: "18446744073709551616")
      ),
      (
        "{\"t\":{\"data_offsets\":[0]}}",
        .wrongType(tensor: "t", field: "data_offsets", expected: "two numbers", found: "1")
      ),
      (
        "{\"t\":{\"data_offsets\":[0,4,8]}}",
        .wrongType(tensor: "t", field: "data_offsets", expected: "two numbers", found: "3")
      ),
      ("{\"t\":{\"data_offsets\":[0,4.0]}}", .wrongNumber(tensor: "t", field: "data_offsets", found: "4.0")),
    ] as [(String, HeaderError)])
  func schema(json: String, error: HeaderError) {
    #expect(throws: error) { try parse(json) }
  }

  @Test("offsets that leave a hole, overlap, or run backwards")
  func offsets() {
    #expect(throws: HeaderError.holeOrOverlap(tensor: "t", begin: 4, expected: 0)) {
      try parse("{\(ShardBytes.entry("t", at: 4, to: 8))}", data: 8)
    }
    #expect(throws: HeaderError.holeOrOverlap(tensor: "b", begin: 8, expected: 4)) {
      try parse("{\(t),\(ShardBytes.entry("b", at: 8, to: 12))}", data: 12)
    }
    #expect(throws: HeaderError.holeOrOverlap(tensor: "u", begin: 0, expected: 4)) {
      try parse("{\(t),\(ShardBytes.entry("u"))}")
    }
    #expect(throws: HeaderError.holeOrOverlap(tensor: "z", begin: 2, expected: 4)) {
      try parse("{\(t),\(ShardBytes.entry("z", "F32", [0], at: 2, to: 2))}")
    }
    #expect(throws: HeaderError.reversedOffsets(tensor: "t", begin: 4, end: 0)) {
      try parse("{\(ShardBytes.entry("t", at: 4, to: 0))}")
    }
  }

  @Test("sizes that overflow, in elements and in bits")
  func overflow() {
    for shape in [[1 << 32, 1 << 32], [1 << 62], [1 << 61, 8, 0]] {
      #expect(throws: HeaderError.sizeOverflow(tensor: "t", shape: shape, dtype: .f32)) {
        try parse("{\(ShardBytes.entry("t", "F32", shape, to: 0))}", data: 0)
      }
    }
  }

  @Test("packed elements that end inside a byte")
  func partialByte() {
    #expect(throws: HeaderError.partialByte(tensor: "t", bits: 18)) {
      try parse("{\(ShardBytes.entry("t", "F6_E2M3", [3], to: 2))}", data: 2)
    }
  }

  @Test("a shape that needs other bytes than the offsets give", arguments: [[2], [0]])
  func sizeMismatch(shape: [Int]) {
    #expect(throws: HeaderError.sizeMismatch(tensor: "t", shape: UInt64(4 * shape[0]), offsets: 4)) {
      try parse("{\(ShardBytes.entry("t", "F32", shape))}")
    }
  }

  @Test("data that is cut short or goes on", arguments: [-1, 1, 3])
  func fileSize(excess: Int) {
    let size = 8 + t.utf8.count + 2
    #expect(throws: HeaderError.wrongFileSize(claimed: size + 4, fileSize: size + 4 + excess)) {
      try parse("{\(t)}", data: 4 + excess)
    }
  }

  @Test("the largest offsets a number can hold")
  func largestOffsets() {
    let count = Int.max / 4
    #expect(throws: HeaderError.sizeOverflow(tensor: "t", shape: [count], dtype: .f32)) {
      try parse("{\(ShardBytes.entry("t", "F32", [count], to: 4 * count))}")
    }
    let bytes = 1 << 60
    #expect(throws: HeaderError.self) { try parse("{\(ShardBytes.entry("t", "U8", [bytes], to: bytes))}") }
    // Eight tensors of 2⁶⁰ − 1 bytes each reach the end of Int.
    let size = (1 << 60) - 1
    var begin = 0
    var entries: [String] = []
    for index in 0..<8 {
      entries.append(ShardBytes.entry("t\(index)", "U8", [size], at: begin, to: begin + size))
      begin += size
    }
    entries.append(ShardBytes.entry("t8", "U8", [7], at: begin, to: begin + 7))
    #expect(begin + 7 == Int.max)
    #expect(throws: HeaderError.self) { try parse("{\(entries.joined(separator: ","))}") }
  }

  @Test("every prefix of a good header is refused, without a trap")
  func prefixes() {
    let json = Array(entry(with: #""x":[{"y":"\ud83d\ude00"},-1.5e-3,true]"#).utf8)
    for count in json.indices {
      #expect(throws: HeaderError.self) {
        try ShardHeader.parse(header: Array(json[..<count]), fileSize: 8 + count + 4)
      }
    }
  }
}
