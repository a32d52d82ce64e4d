import SystemPackage
import Testing

@testable import ShardIO

@Suite("Lists of shapes")
struct ShapesFileTests {
  private func parse(_ text: String, model: String? = nil) throws -> [TensorInfo] {
    try ShapesFile.parse(Array(text.utf8), model: model)
  }

  @Test("one model, or one of several by name")
  func models() throws {
    let one = #"{"tensors": [["a", [2, 3], "BF16"], ["b", [], "F32"]], "note": {"x": [1, -2.5]}}"#
    let tensors = try parse(one)
    #expect(tensors.map(\.name) == ["a", "b"])
    #expect(tensors.map(\.byteRange) == [0..<12, 12..<16])
    let several = #"{"M": \#(one), "N": {"tensors": [["c", [1, 1], "F8_E4M3"]]}}"#
    #expect(try parse(several, model: "N").map(\.dtype) == [.f8E4M3])
    #expect(try parse(#"{"only": \#(one)}"#).count == 2)
  }

  @Test("a model that is not named, or not there, is answered with those that are")
  func choice() {
    let several = #"{"M": {"tensors": []}, "N": {"tensors": []}}"#
    #expect(throws: ShapesFileError.modelNotChosen(wanted: nil, models: ["M", "N"])) { try parse(several) }
    #expect(throws: ShapesFileError.modelNotChosen(wanted: "O", models: ["M", "N"])) {
      try parse(several, model: "O")
    }
    #expect(throws: ShapesFileError.unnamedModel(wanted: "M")) { try parse(#"{"tensors": []}"#, model: "M") }
    #expect("\(ShapesFileError.modelNotChosen(wanted: nil, models: ["\u{1b}[2J"]))".contains("\\u{1b}"))
  }

  @Test(
    "hostile text ends in an error",
    arguments: [
      "", "[]", "{", "{}", "null", #"{"tensors": {}}"#, #"{"tensors": [1]}"#, #"{"tensors": [[]]}"#,
      #"{"tensors": [["a"]]}"#, #"{"tensors": [["a", [1], "BF16", 1]]}"#, #"{"tensors": [["a", [-1, 2], "BF16"]]}"#,
      #"{"tensors": [["a", [1.5], "BF16"]]}"#, #"{"tensors": [["a", [1e3], "BF16"]]}"#,
      #"{"tensors": [["a", [9223372036854775808], "U8"]]}"#, #"{"tensors": [["a", [9223372036854775807, 3], "U8"]]}"#,
      #"{"tensors": [["a", [4611686018427387904, 2], "U8"]]}"#, #"{"tensors": [["a", [9223372036854775807], "F32"]]}"#,
      #"{"tensors": [["a", [9223372036854775807], "U8"], ["b", [1], "U8"]]}"#,
      // 2¹²⁸ − 4 bits.
      #"{"tensors": [["a", [9223372036854775807, 119537721, 77158673929], "F4"]]}"#,
      #"{"tensors": [["a", [1], "X"]]}"#, #"{"tensors": [["a", "1", "BF16"]]}"#,
      #"{"tensors": [["a", [1], "BF16"], ["a", [1], "BF16"]]}"#, #"{"tensors": [], "tensors": []}"#,
      #"{"M": {"tensors": []}, "M": {"tensors": []}}"#, #"{"M": 3}"#, #"{"M": {}}"#, #"{"tensors": []} x"#,
    ])
  func hostile(text: String) {
    #expect(throws: ShapesFileError.self) { try parse(text) }
  }

  @Test("half a million combining marks take no longer than other text", .timeLimit(.minutes(1)))
  func combiningMarks() throws {
    let marks = String(repeating: "\u{301}\u{323}", count: 250_000)
    let model = #"{"\#(marks)": 1, "tensors": [["\#(marks)", [1], "U8"]]}"#
    #expect(try parse(#"{"\#(marks)": \#(model)}"#, model: marks).count == 1)
    #expect(throws: ShapesFileError.self) { try parse(#"{"tensors": [["a", [1], "\#(marks)"]]}"#) }
    #expect(throws: ShapesFileError.self) { try parse(#"{"\#(marks)": \#(model), "N": \#(model)}"#, model: "M") }
  }

  @Test("which files they are, by name")
  func names() {
    #expect(ShapesFile.isOne("a/shapes.json") && ShapesFile.isOne("shapes.json.gz"))
    #expect(!ShapesFile.isOne("model.safetensors") && !ShapesFile.isOne("model.safetensors.index.json"))
    #expect(!ShapesFile.isOne("/"))
  }
}
