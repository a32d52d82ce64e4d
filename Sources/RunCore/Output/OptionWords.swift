import Crypto
import ShardIO

/// The options that shape the result of a run, in words: the name of each as on the command line, and its value.
///
/// By these words a run is told from another one, and a message names the options that differ. Every type of options says its own, from its
/// typed members:
///
///     var words = OptionWords()
///     words.add("--exclude", ["*.bias"])
///     words.add("--mp-fit", true)
///     words["--mp-fit"] == "yes"
///
/// Invariant: different values of an option have different words.
package struct OptionWords: Equatable, Sendable {
  /// The word of an option that has no value.
  static let none = "none"

  /// The words by name of option.
  package private(set) var byName: [String: String] = [:]

  package init() {}

  /// The words of a run that does the same thing by several sets of options: of each option the different words, with commas between.
  package init(lists: [OptionWords]) {
    for name in Set(lists.flatMap(\.byName.keys)) {
      var found: [String] = []
      for words in lists where !found.contains(words[name] ?? Self.none) { found.append(words[name] ?? Self.none) }
      byName[name] = found.joined(separator: ",")
    }
  }

  /// The word of an option; nil if nothing was said about it.
  package subscript(_ name: String) -> String? { byName[name] }

  /// Adds a flag: `yes` or `no`.
  package mutating func add(_ name: String, _ value: Bool) { byName[name] = value ? "yes" : "no" }

  /// Adds a flag that may be left open: `yes`, `no`, or `none`.
  package mutating func add(_ name: String, _ value: Bool?) {
    byName[name] = value.map { $0 ? "yes" : "no" } ?? Self.none
  }

  /// Adds a whole number, or `none`.
  package mutating func add(_ name: String, _ value: (some FixedWidthInteger)?) {
    byName[name] = value.map { "\($0)" } ?? Self.none
  }

  /// Adds a number, or `none`. A whole one is written without a point.
  package mutating func add(_ name: String, _ value: Double?) {
    byName[name] = value.map { number in Int(exactly: number).map { "\($0)" } ?? "\(number)" } ?? Self.none
  }

  /// Adds a text in quotes, or `none`.
  package mutating func add(_ name: String, _ value: String?) {
    byName[name] = value.map(Self.text) ?? Self.none
  }

  /// Adds texts in quotes, in their order; `none` if there are none.
  package mutating func add(_ name: String, _ values: [String]) {
    byName[name] = values.isEmpty ? Self.none : values.map(Self.text).joined(separator: " ")
  }

  /// Adds one of the words that the option can have, without quotes; or `none`.
  package mutating func add<Choice: RawRepresentable<String>>(_ name: String, _ value: Choice?) {
    byName[name] = value?.rawValue ?? Self.none
  }

  /// Adds the words of other options.
  ///
  /// - Precondition: none of them has been added before.
  package mutating func add(_ other: OptionWords) {
    byName.merge(other.byName) { _, _ in preconditionFailure("an option has words already") }
  }

  /// Takes the words of some options from another run, where nothing is known about them.
  package mutating func take(_ names: [String], from other: OptionWords) {
    for name in names { byName[name] = other[name] }
  }

  /// The options that differ between these words and those of now, as `--budget was 0.01, is 0.02`, in the order of their names.
  func differences(now: OptionWords) -> [String] {
    Set(byName.keys).union(now.byName.keys).sorted().compactMap { name in
      let (before, after) = (self[name] ?? Self.none, now[name] ?? Self.none)
      return before == after ? nil : "\(name) was \(before), is \(after)"
    }
  }

  /// A text as messages show it. What they cut is replaced by a digest, so that long texts which begin alike differ.
  private static func text(_ value: String) -> String {
    let shown = quoted(value)
    guard !shown.hasSuffix("'") else { return shown }
    return shown + " SHA-256 " + SHA256.hash(data: Array(value.utf8)).hexadecimal
  }
}

/// Options that shape the result of a run, and say so in words.
package protocol ShapingOptions {
  /// The words of every option: none that shapes the result is missing.
  var words: OptionWords { get }
}

extension OptionWords: Codable {
  package init(from decoder: any Decoder) throws { byName = try [String: String](from: decoder) }

  package func encode(to encoder: any Encoder) throws { try byName.encode(to: encoder) }
}
