import ShardIO
import Spectra
import Weights

/// Which matrices of two checkpoints are compared: those with the same name and shape, then those that are the same under another name.
///
/// Invariant: entry i of ``base``, ``tuned``, ``baseOrdinals`` and ``tunedOrdinals`` is pair i, whose matrices have equal shapes. No matrix
/// is in two pairs. The name of every other matrix of either checkpoint is in ``mismatches``.
package struct MatrixPairing {
  /// The matrices of the base that have a partner, in the order of the base. Ordinals in this catalog are the ordinals of the pairs.
  let base: Catalog
  /// The partners in the tuned model, by the same ordinals.
  let tuned: Catalog
  /// The ordinal of each pair's matrix in the whole base, ascending.
  let baseOrdinals: [Int]
  /// The ordinal of each pair's matrix in the whole tuned model.
  let tunedOrdinals: [Int]
  /// The modules that have another name in the tuned model.
  let renamings: [ComparisonSummary.Renaming]
  /// The matrices that are not compared, in byte-wise order of name.
  let mismatches: [ComparisonSummary.Mismatch]
  /// The share of the weights of either model that is compared.
  let share: ComparisonSummary.Share

  /// Pairs the matrices by name, and what is left by renamings (``RenamedMatrices``).
  ///
  /// - Complexity: O(bytes of all names); O(n) if all names are equal.
  init(_ base: Catalog, _ tuned: Catalog) {
    let exact = ExactPairs(base, tuned)
    var pairs = exact.pairs
    var renamings: [ComparisonSummary.Renaming] = []
    var transposed: (base: Set<Int>, tuned: Set<Int>) = ([], [])
    if !exact.left.base.isEmpty, !exact.left.tuned.isEmpty {
      let renamed = RenamedMatrices(base, tuned, exact: exact.pairs, left: exact.left) {
        base.hasShape(of: base.matrices[$0], as: tuned.matrices[$1], in: tuned)
      }
      pairs = (pairs + renamed.pairs).sorted { $0.base < $1.base }
      transposed = renamed.transposed
      renamings = renamed.renamings.map {
        .init(base: $0.renaming.base.string, tuned: $0.renaming.tuned.string, matrices: $0.pairs)
      }
    }
    baseOrdinals = pairs.map(\.base)
    tunedOrdinals = pairs.map(\.tuned)
    self.base = base.restricted(to: baseOrdinals)
    self.tuned = tuned.restricted(to: tunedOrdinals)
    self.renamings = renamings
    mismatches = Self.mismatches(base, tuned, exact, pairs, transposed)
    share = ComparisonSummary.Share(
      base: Self.share(self.base, of: base), tuned: Self.share(self.tuned, of: tuned))
  }

  private static func share(_ part: Catalog, of whole: Catalog) -> Double {
    whole.weightCount == 0 ? 0 : Double(part.weightCount) / Double(whole.weightCount)
  }

  /// What is left of both models, with reasons.
  private static func mismatches(
    _ base: Catalog, _ tuned: Catalog, _ exact: ExactPairs, _ pairs: [(base: Int, tuned: Int)],
    _ transposed: (base: Set<Int>, tuned: Set<Int>)
  ) -> [ComparisonSummary.Mismatch] {
    let paired = (base: Set(pairs.map(\.base)), tuned: Set(pairs.map(\.tuned)))
    func alone(_ model: String, _ matrix: Catalog.Matrix, _ transposed: Set<Int>) -> ComparisonSummary.Mismatch {
      .init(
        matrix: matrix.name,
        reason: "only the \(model) has it"
          + (transposed.contains(matrix.tensor) ? ", in a stack of inputs × outputs, which is not turned" : ""))
    }
    var found: [ComparisonSummary.Mismatch] = []
    var reshaped: Set<Int> = []
    for ordinal in exact.left.base where !paired.base.contains(ordinal) {
      let matrix = base.matrices[ordinal]
      guard let partner = exact.reshaped[ordinal], !paired.tuned.contains(partner) else {
        found.append(alone("base", matrix, transposed.base))
        continue
      }
      reshaped.insert(partner)
      let shapes = (base.comparedShape(of: matrix), tuned.comparedShape(of: tuned.matrices[partner]))
      func words(_ shape: [Int]) -> String { shape.map(String.init).joined(separator: " × ") }
      found.append(
        .init(
          matrix: matrix.name, reason: "it is \(words(shapes.0)) in the base, \(words(shapes.1)) in the tuned model"))
    }
    for ordinal in exact.left.tuned where !paired.tuned.contains(ordinal) && !reshaped.contains(ordinal) {
      found.append(alone("tuned model", tuned.matrices[ordinal], transposed.tuned))
    }
    return found.sorted { $0.matrix.utf8.lexicographicallyPrecedes($1.matrix.utf8) }
  }
}
