import RunCore
import ShardIO

/// The layer of a matrix, or the place outside of all layers.
///
/// It orders by depth in a stack. Places of different stacks have no order of their own: stacks come in the order of their first matrix.
package struct LayerPlace: Codable, Sendable, Hashable {
  /// The stack of layers, such as `model.layers`; nil outside of all layers.
  @ExplicitNull package var stack: String?
  /// The number of the layer in the stack; nil outside of all layers.
  @ExplicitNull package var depth: Int?

  private var exactStack: ExactName? { stack.map { ExactName($0) } }

  package init(stack: String?, depth: Int?) {
    self.stack = stack
    self.depth = depth
  }

  package static func == (left: LayerPlace, right: LayerPlace) -> Bool {
    left.depth == right.depth && left.exactStack == right.exactStack
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(exactStack)
    hasher.combine(depth)
  }
}

extension MaskRecord.Matrix {
  /// The layer that the matrix lies in.
  package var place: LayerPlace { LayerPlace(stack: stack, depth: depth) }
}

extension MaskRecord {
  /// The matrices of one layer, or those outside of all layers.
  package struct Layer: Codable, Sendable, Equatable {
    package var place: LayerPlace
    package var totals: MatrixTotals

    package init(place: LayerPlace, totals: MatrixTotals) {
      (self.place, self.totals) = (place, totals)
    }

    package init(from decoder: any Decoder) throws {
      self.init(place: try LayerPlace(from: decoder), totals: try MatrixTotals(from: decoder))
    }

    package func encode(to encoder: any Encoder) throws {
      try place.encode(to: encoder)
      try totals.encode(to: encoder)
    }
  }

  /// The matrices of one role in all layers.
  package struct Role: Codable, Sendable, Equatable {
    package var role: String
    package var totals: MatrixTotals

    private enum CodingKeys: CodingKey { case role }

    package init(role: String, totals: MatrixTotals) {
      (self.role, self.totals) = (role, totals)
    }

    package init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      self.init(role: try container.decode(String.self, forKey: .role), totals: try MatrixTotals(from: decoder))
    }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(role, forKey: .role)
      try totals.encode(to: encoder)
    }

    package static func == (left: Role, right: Role) -> Bool {
      ExactName(left.role) == ExactName(right.role) && left.totals == right.totals
    }
  }
}
