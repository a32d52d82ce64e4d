import Testing

@testable import ShardIO

@Suite("Files that are something else")
struct ForeignFormatTests {
  @Test(
    "bytes of no format",
    arguments: [
      [], [0], [0x80], [0x80, 0x01], [0x80, 0x06], [0x1f], Array("GGU\u{0}".utf8), Array(" \n".utf8), [0x41, 0x00],
      [0x41, 0xff], [0x7f], [0xef, 0xbb, 0xbf], [0x40, 0, 0, 0, 0, 0, 0, 0, 0x7b],
    ] as [[UInt8]])
  func none(bytes: [UInt8]) {
    #expect(ForeignFormat(prefix: bytes) == nil)
  }

  @Test("text is told however its last character is cut", arguments: 1...8)
  func cut(shift: Int) {
    let text = String(repeating: "x", count: shift) + String(repeating: "é𝄞", count: 200)
    guard case .text(let start) = ForeignFormat(prefix: Array(text.utf8)) else {
      Issue.record("no text")
      return
    }
    #expect(text.hasPrefix(start))
    #expect(start.unicodeScalars.count == 60)
  }

  @Test("what stands in place of JSON is not JSON")
  func inPlaceOfJSON() {
    #expect(ForeignFormat(inPlaceOfJSON: Array("\u{feff} {".utf8)) == nil)
    #expect(ForeignFormat(inPlaceOfJSON: Array(" <html>".utf8)) == .markup)
    #expect(ForeignFormat(prefix: Array("\u{feff} {".utf8)) == .json("{"))
  }
}
