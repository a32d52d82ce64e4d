import ShardIO

/// The totals of every layer and role of a mask. All sums are formed in the order of ordinals.
package struct LayerTotals {
  /// A cell of the table of layers and roles.
  package struct Cell {
    package let role: String
    package let totals: MatrixTotals
  }

  /// The layers: stacks in the order of their first matrix, depths ascending; what lies outside of all layers comes last.
  package let layers: [MaskRecord.Layer]
  /// The roles, in byte-wise order of their names.
  package let roles: [MaskRecord.Role]
  /// The roles of each layer, in byte-wise order of their names.
  package let cells: [[Cell]]

  /// - Complexity: O(count · log count).
  package init(_ matrices: [MaskRecord.Matrix]) {
    var stacks: [ExactName: Int] = [:]
    var layers: [LayerPlace: MatrixTotals] = [:]
    var roles: [ExactName: MatrixTotals] = [:]
    var cells: [LayerPlace: [ExactName: MatrixTotals]] = [:]
    for matrix in matrices {
      let (place, role) = (matrix.place, ExactName(matrix.role))
      if let stack = matrix.stack.map({ ExactName($0) }), stacks[stack] == nil { stacks[stack] = stacks.count }
      layers[place, default: MatrixTotals()].add(matrix)
      roles[role, default: MatrixTotals()].add(matrix)
      cells[place, default: [:]][role, default: MatrixTotals()].add(matrix)
    }
    // A place that is half outside, as only a hostile record has, comes at the end of its half.
    func position(_ place: LayerPlace) -> (stack: Int, depth: Int) {
      (place.stack.flatMap { stacks[ExactName($0)] } ?? .max, place.depth ?? .max)
    }
    let places = layers.keys.sorted { position($0) < position($1) }
    self.layers = places.map { .init(place: $0, totals: layers[$0] ?? MatrixTotals()) }
    self.roles = roles.sorted { $0.key < $1.key }.map { .init(role: $0.key.string, totals: $0.value) }
    self.cells = places.map { place in
      (cells[place] ?? [:]).sorted { $0.key < $1.key }.map { Cell(role: $0.key.string, totals: $0.value) }
    }
  }
}
