#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// `--include` and `--exclude`: shell patterns over tensor names, where `*` also matches dots.
package struct NameFilter: Sendable, Equatable {
  /// A tensor that matches one of these is a candidate even if its class is skipped.
  package var include: [String]
  /// A tensor that matches one of these is left out, whatever else matches.
  package var exclude: [String]

  /// Patterns as the user gave them.
  package init(include: [String] = [], exclude: [String] = []) {
    self.include = include
    self.exclude = exclude
  }

  func includes(_ name: String) -> Bool { include.contains { Self.matches($0, name) } }
  func excludes(_ name: String) -> Bool { exclude.contains { Self.matches($0, name) } }

  static func matches(_ pattern: String, _ name: String) -> Bool { fnmatch(pattern, name, 0) == 0 }
}
