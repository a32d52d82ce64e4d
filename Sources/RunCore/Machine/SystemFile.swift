import FoundationEssentials

/// Reads the small text files by which the kernel tells about itself.
package enum SystemFile {
  /// The whole file as text; nil if there is none, or it cannot be read.
  package static func contents(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

  /// The whole number after a word at the beginning of a line; nil if there is none.
  static func number(after word: String, in text: String) -> Int? {
    for line in text.split(separator: "\n") {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.count > 1, words[0] == word { return Int(words[1]) }
    }
    return nil
  }

  /// The number of items in a list such as `0-3,8`; 0 for anything else.
  static func count(ofList text: String) -> Int {
    var count = 0
    for part in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
      let ends = part.split(separator: "-").map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first >= 0,
        (first..<first + 65536).contains(last)
      else { return 0 }
      count += last - first + 1
    }
    return count
  }

  /// The amount after a name in a text such as /proc/meminfo, `MemAvailable:   9 kB`, in bytes; nil if there is none.
  package static func bytes(of name: String, in text: String) -> Int? {
    guard let kibibytes = number(after: name, in: text), kibibytes > 0, kibibytes < 1 << 50 else { return nil }
    return kibibytes * 1024
  }
}
