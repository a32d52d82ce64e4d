import ShardIO
import Testing

@Suite("The eight bytes before a header")
struct HeaderLengthTests {
  @Test("too short a file", arguments: 0...7)
  func tooSmall(size: Int) {
    #expect(throws: HeaderError.fileTooSmall(size: size)) {
      try ShardHeader.headerLength(prefix: Array(repeating: 0, count: size), fileSize: size)
    }
  }

  @Test("a length above the limit", arguments: [100_000_001, 1 << 63, UInt64.max])
  func tooLarge(claimed: UInt64) {
    #expect(throws: HeaderError.headerTooLarge(claimed: claimed)) {
      try ShardHeader.headerLength(prefix: ShardBytes.length(claimed), fileSize: 1 << 40)
    }
  }

  @Test(
    "a length past the end of the file", arguments: [(3, 10), (1, 8), (100_000_000, 100_000_007)] as [(UInt64, Int)])
  func pastEnd(claimed: UInt64, fileSize: Int) {
    #expect(throws: HeaderError.headerPastEnd(claimed: claimed, fileSize: fileSize)) {
      try ShardHeader.headerLength(prefix: ShardBytes.length(claimed), fileSize: fileSize)
    }
  }

  @Test("lengths that fit", arguments: [(0, 8), (2, 10), (100_000_000, 100_000_008)] as [(UInt64, Int)])
  func fits(claimed: UInt64, fileSize: Int) throws {
    #expect(try ShardHeader.headerLength(prefix: ShardBytes.length(claimed), fileSize: fileSize) == Int(claimed))
  }
}
