import ArgumentParser

/// The value of an option that takes one or several values with commas between: `0.1%,1%,5%`.
struct CommaList<Element: Sendable>: Sendable {
  let elements: [Element]

  /// The values that `text` lists.
  ///
  /// - Parameters:
  ///   - parse: the value that a word means; nil if it means none.
  ///   - key: words are told apart by it. Two values of one key are refused.
  ///   - rule: what a word must be, for the message.
  static func parsing(
    _ text: String, _ rule: String, key: (Element) -> String, _ parse: (String) -> Element?
  ) throws -> CommaList {
    let words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    let elements = try words.map { word in
      guard let element = parse(word) else { throw ValidationError("it must be \(rule)") }
      return element
    }
    var seen = Set<String>()
    for (word, element) in zip(words, elements) where !seen.insert(key(element)).inserted {
      throw ValidationError("\(word) comes twice")
    }
    return CommaList(elements: elements)
  }
}

extension CommaList where Element: RawRepresentable<String> & CaseIterable {
  /// The choices that `text` lists.
  static func parsing(_ text: String) throws -> CommaList {
    let choices = Element.allCases.map(\.rawValue)
    let rule = choices.dropLast().joined(separator: ", ") + " or " + (choices.last ?? "")
    return try parsing(text, "\(rule), or several of them with commas between", key: \.rawValue) {
      Element(rawValue: $0)
    }
  }
}
