import ShardIO
import Spectra
import Weights

/// The roles of a checkpoint's tensors among those that lie in the same module, by their shapes where these tell, else by their names.
///
/// Names differ from model to model. Shapes say more: of three matrices f × d, f × d and d × f the last leads back, so it is `down`; a
/// matrix 2f × d beside one d × f holds gate and up.
struct TensorRoles {
  /// The roles that matrices stored apart can share with parts and members of stacks.
  static let shared: Set<String> = ["q", "k", "v", "gate", "up", "down"]

  /// The role of each tensor, by its position in ``Catalog/tensors``: one of ``shared``, `qkv` or `gate_up`; nil if none is known, if
  /// another tensor of the module has the same, or for tensors that are cut into parts, whose labels are their roles.
  let roles: [String?]
  /// The tensors in stacks that hold inputs × outputs.
  let transposed: Set<Int>
  /// The rows of q, k and v of modules that store them apart, by their sum and their columns; nil where modules disagree.
  private let queryRows: [Sides: [Int]?]

  private struct Sides: Hashable {
    let rows: Int
    let columns: Int
  }

  /// One of the tensors of a module.
  private struct Sibling {
    let tensor: Int
    /// The role that the name tells.
    let name: String
    let rows: Int
    let columns: Int

    func isReversed(_ other: Sibling) -> Bool { rows == other.columns && columns == other.rows }
  }

  /// - Complexity: O(bytes of all names).
  init(_ catalog: Catalog) {
    let known = MatrixRoles(catalog)
    var modules: [ExactName: [Int]] = [:]
    for (number, tensor) in catalog.tensors.enumerated() where tensor.shape.count < 4 {
      let module = MatrixPath.joined(MatrixPath.split(tensor.name).modules)
      modules[module, default: []].append(number)
    }
    var roles = [String?](repeating: nil, count: catalog.tensors.count)
    var transposed: Set<Int> = []
    var queryRows: [Sides: [Int]?] = [:]
    for numbers in modules.values {
      for areStacks in [false, true] {
        let siblings = numbers.filter { (catalog.tensors[$0].content.experts != nil) == areStacks }.flatMap {
          Self.siblings($0, catalog.tensors[$0], known[tensor: $0])
        }
        if areStacks, Self.areTransposed(siblings) {
          transposed.formUnion(siblings.map(\.tensor))
          continue
        }
        for (sibling, role) in zip(siblings, Self.roles(siblings)) where catalog.tensors[sibling.tensor].content.isWhole
        {
          roles[sibling.tensor] = role
        }
        guard !areStacks, let rows = Self.queryRows(siblings, roles) else { continue }
        queryRows[rows.sides] = queryRows[rows.sides, default: rows.parts] == rows.parts ? rows.parts : .some(nil)
      }
    }
    self.roles = roles
    self.transposed = transposed
    self.queryRows = queryRows
  }

  /// The role that a matrix may share with one that is stored in another way; nil if it has none.
  func shared(_ matrix: Catalog.Matrix) -> String? {
    guard !transposed.contains(matrix.tensor), let role = matrix.part ?? roles[matrix.tensor],
      Self.shared.contains(role)
    else { return nil }
    return role
  }

  /// The rows of q, k and v in modules that store them apart, if they add up to `rows` and have as many `columns`.
  func queryRows(addingUpTo rows: Int, columns: Int) -> [Int]? { queryRows[Sides(rows: rows, columns: columns)] ?? nil }

  // MARK: The tensors of one module

  private static func siblings(_ number: Int, _ tensor: Catalog.Tensor, _ role: MatrixRole) -> [Sibling] {
    tensor.content.parts.map { part in
      Sibling(
        tensor: number, name: part.label ?? role.name, rows: part.rowCount, columns: part.columnCount)
    }
  }

  /// Whether stacks are a fused gate and up [d, 2f] with their down [f, d], of inputs × outputs.
  private static func areTransposed(_ siblings: [Sibling]) -> Bool {
    guard siblings.count == 2 else { return false }
    func isTurned(_ joined: Sibling, _ down: Sibling) -> Bool {
      joined.columns % 2 == 0 && down.rows == joined.columns / 2 && down.columns == joined.rows
    }
    return isTurned(siblings[0], siblings[1]) || isTurned(siblings[1], siblings[0])
  }

  /// The role of each of the tensors of a module.
  private static func roles(_ siblings: [Sibling]) -> [String?] {
    if let roles = gated(siblings) ?? fused(siblings) { return roles }
    var counts: [String: Int] = [:]
    for sibling in siblings { counts[sibling.name, default: 0] += 1 }
    return siblings.map { counts[$0.name] == 1 ? $0.name : nil }
  }

  /// The roles of two matrices f × d and one d × f; nil if the three are not that.
  private static func gated(_ siblings: [Sibling]) -> [String?]? {
    guard siblings.count == 3, Set(siblings.map(\.name)).isDisjoint(with: ["q", "k", "v"]) else { return nil }
    for (down, first, second) in [(2, 0, 1), (1, 0, 2), (0, 1, 2)] {
      let (a, b, c) = (siblings[first], siblings[second], siblings[down])
      guard a.rows != a.columns, (a.rows, a.columns) == (b.rows, b.columns), a.isReversed(c) else { continue }
      var roles = [String?](repeating: nil, count: 3)
      roles[down] = "down"
      // Shapes do not tell the gate from the other. One name is enough, unless both claim the same.
      let isFirstGate = a.name == "gate" || b.name == "up"
      let isSecondGate = b.name == "gate" || a.name == "up"
      if isFirstGate != isSecondGate {
        roles[first] = isFirstGate ? "gate" : "up"
        roles[second] = isFirstGate ? "up" : "gate"
      }
      return roles
    }
    return nil
  }

  /// The roles of a matrix 2f × d and one d × f; nil if the two are not that.
  private static func fused(_ siblings: [Sibling]) -> [String?]? {
    guard siblings.count == 2 else { return nil }
    for (joined, down) in [(0, 1), (1, 0)] {
      let (a, b) = (siblings[joined], siblings[down])
      guard a.rows % 2 == 0, b.columns == a.rows / 2, b.rows == a.columns else { continue }
      return joined == 0 ? ["gate_up", "down"] : ["down", "gate_up"]
    }
    return nil
  }

  private static func queryRows(
    _ siblings: [Sibling], _ roles: [String?]
  ) -> (sides: Sides, parts: [Int])? {
    let found = ["q", "k", "v"].compactMap { role in siblings.first { roles[$0.tensor] == role } }
    guard found.count == 3, Set(found.map(\.columns)).count == 1 else { return nil }
    let rows = found.map(\.rows)
    // No sum of the rows of three tensors overflows: a catalog has at most 2⁵⁸ weights.
    return (Sides(rows: rows.reduce(0, +), columns: found[0].columns), rows)
  }
}
