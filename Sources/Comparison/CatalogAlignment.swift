import RunCore
import ShardIO
import Weights

/// Two catalogs that hold their matrices in one form: where one model stores parts apart that are fused in the other, the fused tensors are
/// cut into these parts.
///
/// A stack `experts.gate_up_proj`, [E, 2f, d], is cut into `gate` and `up` of f rows if the other model has experts of their own. A
/// `qkv_proj` is cut into `q`, `k` and `v` if the other has three that add up to it. What pairs as it is, is left as it is.
struct CatalogAlignment {
  let base: Catalog
  let tuned: Catalog

  /// Cuts what is fused on one side alone, and keeps the cuts that make pairs.
  ///
  /// - Throws: ``RunFailure`` if two matrices would have the same name.
  /// - Complexity: that of three pairings; of one if all names are equal.
  init(_ base: Catalog, _ tuned: Catalog) throws(RunFailure) {
    // 1. Find what could be cut among tensors without a pair.
    let pairing = MatrixPairing(base, tuned)
    let areLeft =
      pairing.base.matrices.count < base.matrices.count && pairing.tuned.matrices.count < tuned.matrices.count
    let roles = areLeft ? (TensorRoles(base), TensorRoles(tuned)) : nil
    let cuts = roles.map { own, other in
      (
        Self.cuts(of: base, own, pairing.base.matrices, other: other),
        Self.cuts(of: tuned, other, pairing.tuned.matrices, other: own)
      )
    }
    guard let cuts, !cuts.0.isEmpty || !cuts.1.isEmpty else {
      (self.base, self.tuned) = (base, tuned)
      return
    }
    // 2. Try all cuts, and keep those whose parts have found partners.
    let found = MatrixPairing(try base.cutting(cuts.0), try tuned.cutting(cuts.1))
    func kept(_ cuts: [Int: [Catalog.RowPart]], _ pairs: Catalog) -> [Int: [Catalog.RowPart]] {
      let used = Set(pairs.matrices.map(\.tensor))
      return cuts.filter { used.contains($0.key) }
    }
    self.base = try base.cutting(kept(cuts.0, found.base))
    self.tuned = try tuned.cutting(kept(cuts.1, found.tuned))
  }

  /// The ways in which tensors without a pair could be cut, by their positions.
  ///
  /// - Parameter paired: the matrices that have a pair.
  private static func cuts(
    of catalog: Catalog, _ roles: TensorRoles, _ paired: [Catalog.Matrix], other: TensorRoles
  ) -> [Int: [Catalog.RowPart]] {
    let used = Set(paired.map(\.tensor))
    var cuts: [Int: [Catalog.RowPart]] = [:]
    for (number, tensor) in catalog.tensors.enumerated() where !used.contains(number) {
      let (rows, columns) = (tensor.content.rows, tensor.content.columns)
      switch roles.roles[number] {
      case "gate_up" where rows % 2 == 0:
        cuts[number] = ["gate", "up"].map { Catalog.RowPart(label: $0, rows: rows / 2) }
      case "qkv" where tensor.content.experts == nil && !interleaved.contains(TensorName(tensor.name).module):
        cuts[number] = other.queryRows(addingUpTo: rows, columns: columns).map {
          zip(["q", "k", "v"], $0).map { Catalog.RowPart(label: $0, rows: $1) }
        }
      default: break
      }
    }
    return cuts
  }

  /// The modules whose rows may go head by head: those of q, k and v of one head after the other. No shape tells whether they do.
  private static let interleaved: Set<ExactName> = ["query_key_value", "wqkv"]
}
