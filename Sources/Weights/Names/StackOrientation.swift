import ShardIO

/// Tells from their shapes how the stacks `experts.gate_up_proj` and `experts.down_proj` of each layer are stored.
///
/// Transposed matrices have the shapes [E, hidden, 2·inner] and [E, inner, hidden], others [E, 2·inner, hidden] and [E, hidden, inner].
struct StackOrientation {
  private enum Leaf: String { case joined = "gate_up_proj", down = "down_proj" }

  private var shapes: [ExactName: [Leaf: [Int]]] = [:]

  init(_ tensors: [(name: String, shape: [Int])]) {
    for (name, shape) in tensors {
      guard let (layer, leaf) = Self.parts(of: name), shape.count == 3 else { continue }
      shapes[ExactName(layer), default: [:]][leaf] = shape
    }
  }

  /// Whether `name` is one of a layer's two stacks.
  static func isStack(_ name: String) -> Bool { parts(of: name) != nil }

  /// Whether the stack `name` is stored transposed, as [E, in, out]; nil if the shapes leave it open.
  func isTurned(_ name: String) -> Bool? {
    guard let (layer, _) = Self.parts(of: name), let stored = shapes[ExactName(layer)], let joined = stored[.joined],
      let down = stored[.down]
    else { return nil }
    func fits(hidden: Int, rows: Int, inner: Int, width: Int) -> Bool {
      let (twice, overflow) = inner.multipliedReportingOverflow(by: 2)
      return hidden == width && !overflow && rows == twice
    }
    let turned = fits(hidden: joined[1], rows: joined[2], inner: down[1], width: down[2])
    let straight = fits(hidden: joined[2], rows: joined[1], inner: down[2], width: down[1])
    return turned == straight ? nil : turned
  }

  /// The layer and the leaf in the name of a stack; nil for other names.
  private static func parts(of name: String) -> (layer: String, leaf: Leaf)? {
    let pieces = name.split(separator: ".", omittingEmptySubsequences: false)
    guard pieces.count > 2, pieces[pieces.count - 2] == "experts", let last = pieces.last,
      let leaf = Leaf(rawValue: String(last))
    else { return nil }
    return (pieces.dropLast().joined(separator: "."), leaf)
  }
}
