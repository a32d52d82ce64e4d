import Execution
import Spectra
import Weights

/// The targets of a run, in groups by what ranks the weights.
///
/// Invariant: every target is in one group, and keeps what it would keep in a run of its own.
struct TargetGroups {
  /// The ways in which weights are ranked, and what the targets of each keep.
  let rankings: [RankedTargets]
  /// The targets in the order of the options, with their places in ``rankings``.
  let targets: [PlacedTarget]

  /// - Parameters:
  ///   - keeps: the number of weights that each target keeps.
  ///   - importance: R of every matrix, by ordinal.
  ///   - multipliers: the multiplier of every matrix by its power law, by ordinal; nil for none.
  ///   - isPlain: whether all scores of the model are ranked and stored as they are: see ``ModelUnits/isPlain``.
  ///   - block: the side of the blocks that are kept whole; nil if weights are kept one by one.
  init(
    _ options: [MaskTarget], keeps: [Int], of input: MatrixInput, importance: [Double],
    multipliers: [Double]?, isPlain: Bool, block: Int?
  ) {
    /// What targets have in common if they rank weights by the same values.
    struct Key: Hashable {
      let ranking: Ranking
      let isMultiplied: Bool
      let hasCommonUnit: Bool
    }
    var groups: [(key: Key, members: [Int])] = []
    for (number, target) in options.enumerated() {
      let isGlobal = target.select == .global
      let key = Key(
        ranking: target.ranking, isMultiplied: isGlobal && multipliers != nil, hasCommonUnit: isGlobal && !isPlain)
      if let known = groups.firstIndex(where: { $0.key == key }) {
        groups[known].members.append(number)
      } else {
        groups.append((key, [number]))
      }
    }
    let weighted = multipliers.map { zip(importance, $0).map { $0 * $1 } } ?? importance
    rankings = groups.map { key, members in
      RankedTargets(
        ranking: key.ranking, multipliers: key.isMultiplied ? multipliers?.map(Float.init) : nil,
        quotas: members.map {
          Quota(
            keeps[$0], of: options[$0].budget, by: options[$0].select, input.catalog.matrices, importance: weighted,
            block: block)
        })
    }
    targets = PlacedTarget.place(options, rankedBy: groups.map(\.members))
  }
}
