import ShardIO

/// The names of all tensors of a checkpoint as a tree of their pieces, so that each piece is read once.
///
/// `model.layers.0.mlp.up_proj.weight` and `model.layers.0.mlp.down_proj.weight` share four nodes. A node stands for a path such as
/// `model.layers.0`; node 0 is the empty path above all names. What a piece says by itself is found once for each distinct piece, and what
/// the pieces of a path say together lies in its node.
final class NameTree: Sendable {
  /// The number of a node.
  typealias Node = Int32

  static let root: Node = 0

  private struct Record {
    let parent: Node
    let piece: Int32
    /// What any piece of the path says.
    let signs: NameSigns
  }

  private let records: [Record]
  private let pieces: [ExactName]
  private let pieceSigns: [NameSigns]
  /// The node of each tensor's name.
  private let places: [Node]

  /// Reads the names of tensors. In order of name, neighbours share most of their pieces, and reading them costs least.
  ///
  /// - Complexity: O(bytes of all names) expected time.
  init(_ names: some Sequence<String>) {
    var builder = Builder()
    places = names.map { builder.insert($0) }
    (records, pieces, pieceSigns) = (builder.records, builder.pieces, builder.pieceSigns)
  }

  /// The path of the tensor at a position in the list that the tree was made from.
  func path(ofTensor index: Int) -> TensorPath { TensorPath(self, places[index]) }

  func parent(of node: Node) -> Node { records[Int(node)].parent }
  /// The last piece of a path; empty for the root.
  func piece(of node: Node) -> ExactName { pieces[Int(records[Int(node)].piece)] }
  /// What the last piece of a path says.
  func signs(ofPiece node: Node) -> NameSigns { pieceSigns[Int(records[Int(node)].piece)] }
  /// What all pieces of a path say together.
  func signs(of node: Node) -> NameSigns { records[Int(node)].signs }

  /// The nodes of a path from its last piece to its first, without the root.
  func nodes(upFrom node: Node) -> UnfoldSequence<Node, Node> {
    sequence(state: node) { node in
      guard node != Self.root else { return nil }
      defer { node = self.parent(of: node) }
      return node
    }
  }

  /// The tree while names are added.
  private struct Builder {
    var records = [Record(parent: root, piece: 0, signs: [])]
    var pieces: [ExactName] = [""]
    var pieceSigns: [NameSigns] = [[]]
    private var pieceNumbers: [ExactName: Int32] = ["": 0]
    private var children: [UInt64: Node] = [:]
    private var last: [UInt8] = []
    /// The nodes of the last name, each with the position after its piece.
    private var trail: [(end: Int, node: Node)] = []

    mutating func insert(_ name: String) -> Node {
      let bytes = Array(name.utf8)
      // 1. Keep the pieces that the name shares with the one before it.
      var shared = 0
      while shared < bytes.count, shared < last.count, bytes[shared] == last[shared] { shared += 1 }
      while let top = trail.last, top.end > shared || (top.end < bytes.count && bytes[top.end] != UInt8(ascii: ".")) {
        trail.removeLast()
      }
      // 2. Add the others.
      var (start, node) = trail.last.map { ($0.end + 1, $0.node) } ?? (0, root)
      while start <= bytes.count {
        let end = bytes[start...].firstIndex(of: UInt8(ascii: ".")) ?? bytes.count
        node = child(of: node, ExactName(String(decoding: bytes[start..<end], as: UTF8.self)))
        trail.append((end, node))
        start = end + 1
      }
      last = bytes
      return node
    }

    private mutating func child(of parent: Node, _ piece: ExactName) -> Node {
      let number: Int32
      if let known = pieceNumbers[piece] {
        number = known
      } else {
        number = Int32(pieces.count)
        pieceNumbers[piece] = number
        pieces.append(piece)
        pieceSigns.append(NameSigns(piece))
      }
      let key = UInt64(UInt32(bitPattern: parent)) << 32 | UInt64(UInt32(bitPattern: number))
      if let known = children[key] { return known }
      let node = Node(records.count)
      records.append(
        Record(parent: parent, piece: number, signs: records[Int(parent)].signs.union(pieceSigns[Int(number)])))
      children[key] = node
      return node
    }
  }
}

/// A tensor's name in a tree of names.
///
/// The **module** is the path without a leaf `weight` or `bias`; a tensor of another name is a parameter of its own, and its own module.
struct TensorPath {
  let tree: NameTree
  let node: NameTree.Node
  let module: NameTree.Node
  /// Whether the tensor is a parameter of its own, not the `weight` or `bias` of a module.
  let isBareParameter: Bool

  init(_ tree: NameTree, _ node: NameTree.Node) {
    self.tree = tree
    self.node = node
    isBareParameter = !tree.signs(ofPiece: node).contains(.weightOrBias)
    module = isBareParameter ? node : tree.parent(of: node)
  }

  /// The piece after the last dot.
  var leaf: ExactName { tree.piece(of: node) }
  /// What all pieces of the name say together.
  var signs: NameSigns { tree.signs(of: node) }
  /// The path above the module.
  var block: NameTree.Node { tree.parent(of: module) }
  /// The words of the module's own name.
  var moduleWords: [String] { TensorName.words(of: tree.piece(of: module).string) }

  /// The nodes of the module's path, from the module up.
  var nodesUp: UnfoldSequence<NameTree.Node, NameTree.Node> { tree.nodes(upFrom: module) }
}
