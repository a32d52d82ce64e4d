import Weights

/// A matrix as far as budgets are concerned.
///
/// Invariant: the number of weights of all matrices together fits in an `Int`.
package protocol MatrixSides {
  var rows: Int { get }
  var columns: Int { get }
}

extension MatrixSides {
  /// The number of weights, m·n.
  package var size: Int { rows * columns }
}

extension Catalog.Matrix: MatrixSides {}
