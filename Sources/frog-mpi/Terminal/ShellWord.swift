/// Turns text into words of a shell's command line, for commands that a user may copy.
enum ShellWord {
  /// The characters that no shell gives a meaning, beside letters and digits.
  private static let plain = Set("_./+=:,@%-".utf8)

  /// A path as one word, which names the same file in POSIX shells, and which no program takes for an option.
  ///
  /// Plain paths stay as they are. Others stand in single quotes, and those with control characters in `$'…'`, so that the word is one line
  /// and changes no terminal.
  static func quoted(path: String) -> String {
    let safe = path.hasPrefix("-") ? "./" + path : path
    let isPlain = safe.utf8.allSatisfy { byte in
      plain.contains(byte) || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
        || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
    }
    if isPlain, !safe.isEmpty { return safe }
    guard safe.unicodeScalars.contains(where: isInvisible) else {
      return "'" + safe.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
    return "$'" + safe.unicodeScalars.map(escaped).joined() + "'"
  }

  /// Whether a scalar has no shape of its own, and may move the cursor or turn the direction of text.
  private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: true
    default: false
    }
  }

  /// A scalar within `$'…'`. Invisible ones are written byte by byte, in three octal digits each.
  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    if scalar == "'" || scalar == "\\" { return "\\\(scalar)" }
    guard isInvisible(scalar) else { return String(scalar) }
    return String(scalar).utf8.map { byte in
      let digits = String(byte, radix: 8)
      return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }.joined()
  }
}
