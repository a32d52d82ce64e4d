import RunCore

/// The modules that get adapters, as PEFT's `target_modules` names them.
package enum TargetModules: RawRepresentable, Codable, Sendable, Equatable {
  /// Every linear layer but the output head.
  case allLinear
  /// The modules whose path is one of these, or ends in a dot and one of these.
  case suffixes([String])
  /// The modules whose whole path matches a regular expression.
  case pattern(String)

  private static let word = "all-linear"

  /// Reads names with commas between, or else a regular expression.
  ///
  /// A name has letters, digits, `_`, `-` and dots. Any other character makes the text an expression.
  package init?(rawValue: String) {
    guard !rawValue.isEmpty else { return nil }
    if rawValue == Self.word {
      self = .allLinear
      return
    }
    let names = rawValue.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    func isName(_ text: String) -> Bool {
      !text.isEmpty && text.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" || $0 == "." }
    }
    if names.allSatisfy(isName) {
      self = .suffixes(Array(Set(names)).sorted())
      return
    }
    guard (try? Regex(rawValue)) != nil else { return nil }
    self = .pattern(rawValue)
  }

  package var rawValue: String {
    switch self {
    case .allLinear: Self.word
    case .suffixes(let names): names.joined(separator: ",")
    case .pattern(let text): text
    }
  }

  /// Tells which of some modules are chosen.
  ///
  /// - Parameter modules: paths of modules.
  /// - Returns: of each whether it is chosen, and the names that choose none.
  func choice(among modules: [String]) throws -> (isChosen: [Bool], idle: [String]) {
    switch self {
    case .allLinear: return (modules.map { _ in true }, modules.isEmpty ? [Self.word] : [])
    case .suffixes(let names):
      // Every suffix of a path that begins after a dot is looked up, so many names cost no more than one.
      let wanted = Set(names)
      var met: Set<String> = []
      let isChosen = modules.map { module in
        let pieces = module.split(separator: ".", omittingEmptySubsequences: false)
        let found = pieces.indices.map { pieces[$0...].joined(separator: ".") }.filter(wanted.contains)
        met.formUnion(found)
        return !found.isEmpty
      }
      return (isChosen, names.filter { !met.contains($0) })
    case .pattern(let text):
      let expression = try Regex(text)
      let isChosen = try modules.map { try expression.wholeMatch(in: $0) != nil }
      return (isChosen, isChosen.contains(true) ? [] : [text])
    }
  }
}
