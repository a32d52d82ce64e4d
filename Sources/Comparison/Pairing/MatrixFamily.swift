import ShardIO
import Weights

/// The matrices of a model whose names differ in numbers alone, such as the `q` of all layers.
struct MatrixFamily {
  /// The pattern that the paths of all matrices have.
  let pattern: [ExactName]
  /// The number of last pieces that say what the matrices are: see ``MatrixPath/tail``.
  let tail: Int
  /// Whether the matrices are tensors of their own, neither members of stacks nor parts.
  let areApart: Bool
  /// The pattern as it would be in the tuned model, as far as renamings are known.
  var path: [ExactName]
  /// The ordinals of the matrices, by their numbers.
  private(set) var members: [ExactName: Int] = [:]

  /// The number of pieces with numbers, which two families must share.
  var numberCount: Int { pattern.count { PathPatterns.isNumbered($0) } }

  /// The number of last pieces that no renaming has replaced.
  var ownCount: Int { zip(pattern.reversed(), path.reversed()).prefix { $0 == $1 }.count }

  /// Sorts matrices into families, in the order of the first matrix of each.
  ///
  /// Matrices that have equal patterns and equal numbers are left out, since nothing tells one from the other.
  ///
  /// - Parameter path: the path that a matrix is known by; nil to leave it out.
  /// - Complexity: O(bytes of the names).
  static func families(
    _ ordinals: [Int], of catalog: Catalog, _ patterns: PathPatterns, path: (Catalog.Matrix) -> MatrixPath?
  ) -> [MatrixFamily] {
    var families: [MatrixFamily] = []
    var positions: [Key: Int] = [:]
    var repeated: [(family: Int, numbers: ExactName)] = []
    for ordinal in ordinals {
      let matrix = catalog.matrices[ordinal]
      guard let path = path(matrix) else { continue }
      let (pieces, numbers) = patterns.pattern(of: path)
      let key = Key(
        pattern: MatrixPath.joined(pieces), tail: path.tail, areApart: matrix.expert == nil && matrix.part == nil)
      let position = positions[key] ?? families.count
      if position == families.count {
        positions[key] = position
        families.append(MatrixFamily(pattern: pieces, tail: key.tail, areApart: key.areApart, path: pieces))
      }
      if families[position].members.updateValue(ordinal, forKey: numbers) != nil {
        repeated.append((position, numbers))
      }
    }
    for (family, numbers) in repeated { families[family].members[numbers] = nil }
    return families
  }

  private struct Key: Hashable {
    let pattern: ExactName
    let tail: Int
    let areApart: Bool
  }
}
