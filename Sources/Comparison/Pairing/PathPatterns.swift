import ShardIO

/// Tells which numbers in the paths of two models count layers, experts or other repeated modules.
///
/// A number counts if it has several values at one place of either model. `model.layers.7.fc.weight` then has the pattern
/// `model.layers.*.fc.weight` and the numbers `7`. A number that is always the same is a part of a name, as in `0.encoder.layer.7`.
struct PathPatterns {
  /// Where a number stands: the piece before it, and what comes before the digits in its own piece.
  private struct Place: Hashable {
    let before: ExactName
    let stem: ExactName
  }

  /// The digits that were seen at a place; nil if they have several values.
  private var digits: [Place: ExactName?] = [:]

  /// Takes note of the numbers in a path.
  mutating func insert(_ path: MatrixPath) {
    var before: ExactName = ""
    for piece in path.pieces {
      guard let (stem, number) = Self.split(piece) else {
        before = piece
        continue
      }
      let place = Place(before: before, stem: stem)
      switch digits[place] {
      case nil: digits[place] = .some(number)
      case .some(.some(let other)) where other != number: digits[place] = .some(nil)
      default: break
      }
      before = Self.counted(stem)
    }
  }

  /// The pieces of a path with `*` for every number that counts, and these numbers with dots between them.
  func pattern(of path: MatrixPath) -> (pieces: [ExactName], numbers: ExactName) {
    var before: ExactName = ""
    var numbers: [ExactName] = []
    let pieces = path.pieces.map { piece in
      guard let (stem, number) = Self.split(piece) else {
        before = piece
        return piece
      }
      defer { before = Self.counted(stem) }
      guard case .some(.none) = digits[Place(before: before, stem: stem)] else { return piece }
      numbers.append(number)
      return Self.counted(stem)
    }
    return (pieces, MatrixPath.joined(numbers))
  }

  /// A piece whose number counts, in a pattern.
  private static func counted(_ stem: ExactName) -> ExactName { ExactName(stem.string + "*") }

  /// Whether a piece of a pattern has a number that counts.
  static func isNumbered(_ piece: ExactName) -> Bool { piece.string.utf8.last == UInt8(ascii: "*") }

  /// What comes before the digits at the end of a piece, and the digits; nil if there are none.
  static func split(_ piece: ExactName) -> (stem: ExactName, digits: ExactName)? {
    let bytes = piece.string.utf8
    func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
    guard let last = bytes.last, isDigit(last) else { return nil }
    let start = bytes.lastIndex { !isDigit($0) }.map { bytes.index(after: $0) } ?? bytes.startIndex
    return (ExactName(String(Substring(bytes[..<start]))), ExactName(String(Substring(bytes[start...]))))
  }
}
