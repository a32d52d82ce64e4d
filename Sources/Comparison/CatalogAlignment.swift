import RunCore
import ShardIO
import Weights

/// Two catalogs that hold their matrices in one form: where one model stores parts apart that are fused in the other, the fused tensors are
/// cut into these parts.
///
/// A stack `experts.gate_up_proj`, [E, 2f, d], is cut into `gate` and `up` of f rows if the other model has experts of their own. A
/// `qkv_proj` is cut into `q`, `k` and `v` if the other has three that add up to it. What pairs as it is, is left as it is.
struct CatalogAlignment {
  private(set) var base: Catalog
  private(set) var tuned: Catalog

  /// Cuts what is fused on one side alone, and keeps the cuts that make pairs.
  ///
  /// - Throws: ``RunFailure`` if two matrices would have the same name.
  /// - Complexity: that of two pairings; O(n) if all names are equal.
  init(_ base: Catalog, _ tuned: Catalog) throws(RunFailure) {
    (self.base, self.tuned) = (base, tuned)
    // 1. Find what could be cut among tensors without a partner of their name, if there are some in both models.
    let exact = ExactPairs(base, tuned)
    guard !exact.left.base.isEmpty, !exact.left.tuned.isEmpty else { return }
    let roles = (base: TensorRoles(base), tuned: TensorRoles(tuned))
    func cuts(_ exact: [Int], _ catalog: Catalog, _ own: TensorRoles, _ other: TensorRoles) -> Cuts {
      Self.cuts(of: catalog, own, paired: exact.map { catalog.matrices[$0] }, other: other)
    }
    var (ofBase, ofTuned) = (
      cuts(exact.pairs.map(\.base), base, roles.base, roles.tuned),
      cuts(exact.pairs.map(\.tuned), tuned, roles.tuned, roles.base)
    )
    guard !ofBase.isEmpty || !ofTuned.isEmpty else { return }
    // 2. Leave alone what pairs as it is, under another name.
    let whole = MatrixPairing(base, tuned)
    let inPairs = (base: Self.tensors(of: whole.base), tuned: Self.tensors(of: whole.tuned))
    ofBase = ofBase.filter { !inPairs.base.contains($0.key) }
    ofTuned = ofTuned.filter { !inPairs.tuned.contains($0.key) }
    // 3. Try all other cuts, and keep those whose parts have found partners.
    let cut = MatrixPairing(try base.cutting(ofBase), try tuned.cutting(ofTuned))
    let inParts = (base: Self.tensors(of: cut.base), tuned: Self.tensors(of: cut.tuned))
    ofBase = ofBase.filter { inParts.base.contains($0.key) }
    ofTuned = ofTuned.filter { inParts.tuned.contains($0.key) }
    self.base = try base.cutting(ofBase)
    self.tuned = try tuned.cutting(ofTuned)
  }

  /// Parts of tensors, by the positions of the tensors.
  private typealias Cuts = [Int: [Catalog.RowPart]]

  /// The positions of the tensors that hold the matrices of a catalog.
  private static func tensors(of catalog: Catalog) -> Set<Int> { Set(catalog.matrices.map(\.tensor)) }

  /// The ways in which tensors without a pair could be cut, by their positions.
  ///
  /// - Parameter paired: the matrices that have a pair.
  private static func cuts(
    of catalog: Catalog, _ roles: TensorRoles, paired: [Catalog.Matrix], other: TensorRoles
  ) -> Cuts {
    let used = Set(paired.map(\.tensor))
    var cuts: Cuts = [:]
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
