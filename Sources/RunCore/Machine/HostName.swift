import ShardIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The names of machines.
package enum HostName {
  /// The name of this machine; `unknown` where the system does not tell.
  ///
  /// C function: gethostname(2).
  package static var own: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress, gethostname(start, 255) == 0 else { return "unknown" }
      buffer[255] = 0
      return String(cString: start)
    }
  }

  /// A name as messages show it: a plain one as it is, another in quotes.
  package static func shown(_ name: String) -> String {
    let isPlain = !name.isEmpty && name.utf8.count <= 64 && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    return isPlain ? name : quoted(name)
  }

  /// Some names in words: the first three, and how many more there are.
  static func list(_ names: [String]) -> String {
    let first = names.prefix(3).map(shown).joined(separator: ", ")
    return names.count > 3 ? "\(first) and \(names.count - 3) more" : first
  }
}
