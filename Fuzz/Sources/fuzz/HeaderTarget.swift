import ShardIO

/// The input as a safetensors file: eight bytes of length, then the header, then data.
enum HeaderTarget {
  /// One input, as the file it is and as the header of files of other sizes.
  ///
  /// Sizes matter since nearly all changes to a header leave it wrong for the file at hand: a header
  /// refused for the size of its file alone must be accepted for the file that it claims.
  static func check(_ input: [UInt8]) -> CInt {
    checkLength(of: input)
    if let length = try? ShardHeader.headerLength(prefix: Array(input.prefix(8)), fileSize: input.count) {
      check(header: Array(input[8..<8 + length]), fileSize: input.count)
    }
    let rest = Array(input.dropFirst(8))
    check(header: rest, fileSize: 8 + rest.count)
    check(header: rest, fileSize: Int(littleEndian(input) & UInt64(Int.max)))
    return 0
  }

  private static func littleEndian(_ input: [UInt8]) -> UInt64 {
    input.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func checkLength(of input: [UInt8]) {
    for fileSize in [0, input.count, .max] {
      do {
        let length = try ShardHeader.headerLength(prefix: Array(input.prefix(8)), fileSize: fileSize)
        require(input.count >= 8 && fileSize >= 8, "a length needs eight bytes")
        require(UInt64(length) == littleEndian(input), "the length is little-endian")
        require(length <= ShardHeader.largestHeader && length <= fileSize - 8, "the length fits")
      } catch {
        checkMessage("\(error)")
      }
    }
  }

  private static func check(header: [UInt8], fileSize: Int) {
    do {
      HeaderInvariants.check(
        try ShardHeader.parse(header: header, fileSize: fileSize), length: header.count, fileSize: fileSize)
    } catch .wrongFileSize(let claimed, let found) {
      checkMessage("\(HeaderError.wrongFileSize(claimed: claimed, fileSize: found))")
      require(found == fileSize && claimed != fileSize, "the sizes are those compared")
      guard claimed < Int.max else { return }
      do {
        HeaderInvariants.check(
          try ShardHeader.parse(header: header, fileSize: claimed), length: header.count, fileSize: claimed)
      } catch {
        stop("broken invariant: refused for its size, then for something else: \(error)")
      }
    } catch {
      checkMessage("\(error)")
    }
  }
}

/// A message for one line of a terminal, whatever the input.
func checkMessage(_ message: String) {
  require(message.utf8.count < 2000, "a message of \(message.utf8.count) bytes")
  for scalar in message.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: stop("broken invariant: \(scalar.value) in a message")
    default: break
    }
  }
}
