#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The shell patterns of `--include` and `--exclude`, which are matched against tensor names. `*` also matches dots.
package struct NameFilter: Sendable, Equatable {
  /// Patterns that bring a tensor in whose name alone would have it skipped.
  package var include: [String]
  /// Patterns that leave a tensor out, whatever else matches.
  package var exclude: [String]

  package init(include: [String] = [], exclude: [String] = []) {
    self.include = include
    self.exclude = exclude
  }

  func includes(_ name: String) -> Bool { include.contains { Self.matches($0, name) } }
  func excludes(_ name: String) -> Bool { exclude.contains { Self.matches($0, name) } }

  static func matches(_ pattern: String, _ name: String) -> Bool { fnmatch(pattern, name, 0) == 0 }
}
