import ShardIO
import Spectra
import Weights

/// Which matrices of two checkpoints are compared: those with the same name and shape.
///
/// Invariant: entry i of ``base``, ``tuned``, ``baseOrdinals`` and ``tunedOrdinals`` is pair i, whose matrices have equal names and shapes.
/// The name of every other matrix of either checkpoint is in ``mismatches``, once.
package struct MatrixPairing {
  /// The matrices of the base that have a partner. Ordinals in this catalog are the ordinals of the pairs.
  let base: Catalog
  /// The partners in the tuned model, by the same ordinals.
  let tuned: Catalog
  /// The ordinal of each pair's matrix in the whole base.
  let baseOrdinals: [Int]
  /// The ordinal of each pair's matrix in the whole tuned model.
  let tunedOrdinals: [Int]
  /// The matrices that are not compared, in byte-wise order of name.
  let mismatches: [ComparisonSummary.Mismatch]

  /// Pairs the matrices by name.
  ///
  /// - Complexity: O(n).
  init(_ base: Catalog, _ tuned: Catalog) {
    let partners = Dictionary(
      tuned.matrices.enumerated().map { (ExactName($0.element.name), $0.offset) },
      uniquingKeysWith: { first, _ in first })
    var (baseOrdinals, tunedOrdinals): ([Int], [Int]) = ([], [])
    var mismatches: [ComparisonSummary.Mismatch] = []
    var known: Set<Int> = []
    for (ordinal, matrix) in base.matrices.enumerated() {
      guard let partner = partners[ExactName(matrix.name)] else {
        mismatches.append(.init(matrix: matrix.name, reason: "only the base has it"))
        continue
      }
      known.insert(partner)
      let other = tuned.matrices[partner]
      let (shape, otherShape) = (Self.shape(of: matrix, in: base), Self.shape(of: other, in: tuned))
      if shape == otherShape {
        baseOrdinals.append(ordinal)
        tunedOrdinals.append(partner)
      } else {
        func words(_ shape: [Int]) -> String { shape.map(String.init).joined(separator: " × ") }
        mismatches.append(
          .init(
            matrix: matrix.name, reason: "it is \(words(shape)) in the base, \(words(otherShape)) in the tuned model"))
      }
    }
    for (ordinal, matrix) in tuned.matrices.enumerated() where !known.contains(ordinal) {
      mismatches.append(.init(matrix: matrix.name, reason: "only the tuned model has it"))
    }
    self.base = base.restricted(to: baseOrdinals)
    self.tuned = tuned.restricted(to: tunedOrdinals)
    self.baseOrdinals = baseOrdinals
    self.tunedOrdinals = tunedOrdinals
    self.mismatches = mismatches.sorted { $0.matrix.utf8.lexicographicallyPrecedes($1.matrix.utf8) }
  }

  /// The dimensions that must be equal: m and n, or outputs, inputs, height and width of a convolution.
  ///
  /// Kernels of different shapes may have equally many positions.
  private static func shape(of matrix: Catalog.Matrix, in catalog: Catalog) -> [Int] {
    catalog.kernelPositions(of: matrix) == nil
      ? [matrix.rows, matrix.columns] : catalog.tensors[matrix.tensor].shape
  }
}
