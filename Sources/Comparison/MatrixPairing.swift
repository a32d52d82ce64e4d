import Spectra
import Weights
import ShardIO

/// Which matrices of two checkpoints are compared: those of one name and one shape.
package struct MatrixPairing {
  /// The base's matrices that have a partner; the ordinals of this catalog are those of the pairs.
  let base: Catalog
  /// Their partners, by the same ordinals.
  let tuned: Catalog
  /// Positions of the pairs in the whole base.
  let baseOrdinals: [Int]
  /// Positions of the pairs in the whole tuned model.
  let tunedOrdinals: [Int]
  /// Matrices that are not compared, in byte-wise order of name.
  let mismatches: [ComparisonSummary.Mismatch]

  /// Pairs by name.
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

  /// m and n; of a convolution outputs, inputs, height and width: other kernels of as many positions have others.
  private static func shape(of matrix: Catalog.Matrix, in catalog: Catalog) -> [Int] {
    catalog.kernelPositions(of: matrix) == nil
      ? [matrix.rows, matrix.columns] : catalog.tensors[matrix.tensor].shape
  }
}
