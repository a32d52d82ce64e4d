/// One of the masks that a run makes: how many weights are kept, and how they are chosen.
package struct MaskTarget: Sendable {
  /// How many weights are kept.
  package var budget: Budget
  /// How the kept weights are divided among matrices.
  package var select: SelectionMode
  /// How scores are ranked.
  package var ranking: Ranking

  package init(budget: Budget, select: SelectionMode = .global, ranking: Ranking = Ranking()) {
    self.budget = budget
    self.select = select
    self.ranking = ranking
  }

  /// The name of the target's folder in a run of several: `global-1%`, `lora-lora16`, `uniform-0.1%-rowcol-sample8`.
  package var name: String {
    var words = [select.rawValue, budget.label]
    if ranking.normalize != .none { words.append(ranking.normalize.rawValue) }
    if let sample = ranking.sample { words.append("sample" + (Int(exactly: sample).map { "\($0)" } ?? "\(sample)")) }
    return words.joined(separator: "-")
  }

  /// Whether `name` could be that of a target's folder, or begins as those of its files do.
  static func isName(_ name: String) -> Bool {
    SelectionMode.allCases.contains { name.hasPrefix($0.rawValue + "-") }
  }
}

extension MaskTarget {
  /// The most masks that one run makes.
  package static let mostOfARun = 64

  /// Every combination of the given choices. Budgets change fastest, then selections.
  package static func combinations(
    budgets: [Budget], selections: [SelectionMode], normalizations: [Normalization], samples: [Double?]
  ) -> [MaskTarget] {
    samples.flatMap { sample in
      normalizations.flatMap { normalize in
        selections.flatMap { select in
          budgets.map {
            MaskTarget(budget: $0, select: select, ranking: Ranking(normalize: normalize, sample: sample))
          }
        }
      }
    }
  }
}
