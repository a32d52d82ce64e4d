import RunCore

// What the pairs of a comparison tell together, part by part.
extension ComparisonSummary {
  /// One metric, over all pairs that have it on both sides.
  package struct Metric: Codable, Sendable, Equatable {
    /// The number of these pairs.
    package var matrices: Int
    /// The middle of the values before.
    package var base: Middle
    /// The middle of the values after.
    package var tuned: Middle
    /// The middle of the differences.
    package var change: Middle
  }

  /// The middle of some values.
  package struct Middle: Codable, Sendable, Equatable {
    /// The unweighted mean.
    package var mean: Double
    /// The median of all values.
    package var median: Double
  }

  /// How far the weights of all pairs have moved.
  package struct Update: Codable, Sendable, Equatable {
    /// The number of matrices that have not changed at all.
    package var equal: Int
    /// √Σ‖ΔW‖²_F, the norm of all changes together.
    package var norm: Double
    /// √Σ‖ΔW‖²_F / √Σ‖W‖²_F; nil if the base is all zeros.
    @ExplicitNull package var relativeNorm: Double?
    /// The median of ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull package var medianRelativeNorm: Double?
    /// The median CKA.
    @ExplicitNull package var medianAlignment: Double?
    /// The smallest CKA.
    @ExplicitNull package var leastAlignment: Double?
    /// The median number of singular values that hold 99 % of ‖ΔW‖²_F; nil if that was not asked for.
    @ExplicitNull package var medianRank99: Double?

    enum CodingKeys: String, CodingKey {
      case equal, norm
      case relativeNorm = "relative_norm"
      case medianRelativeNorm = "median_relative_norm"
      case medianAlignment = "median_cka"
      case leastAlignment = "least_cka"
      case medianRank99 = "median_update_rank_99"
    }
  }

  /// How the fits have changed. A change within the standard error of α counts as none.
  package struct Trends: Codable, Sendable, Equatable {
    /// The number of matrices whose α is closer to 2…6.
    package var improved: Int
    /// The number of matrices whose α is farther from 2…6.
    package var worsened: Int
    /// The number of matrices whose α is neither closer nor farther.
    package var unchanged: Int
    /// The number of matrices without a power law on one side or both.
    package var unfitted: Int
    /// The share of fits with α from 2 to 6, before; nil without fits.
    @ExplicitNull package var baseInRange: Double?
    /// The share of fits with α from 2 to 6, after; nil without fits.
    @ExplicitNull package var tunedInRange: Double?

    enum CodingKeys: String, CodingKey {
      case improved, worsened, unchanged, unfitted
      case baseInRange = "base_in_range"
      case tunedInRange = "tuned_in_range"
    }
  }

  /// The pairs of one role, which show where the tuning went.
  package struct Role: Codable, Sendable, Equatable {
    /// The name of the role: `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    package var role: String
    /// The number of pairs.
    package var matrices: Int
    /// The number of pairs that have not changed at all.
    package var equal: Int
    /// The number of pairs that look harmed.
    package var flagged: Int
    /// The median α before, over pairs with a fit on both sides.
    @ExplicitNull package var baseAlpha: Double?
    /// The median α after, over the same pairs.
    @ExplicitNull package var tunedAlpha: Double?
    /// The median Δα, over the same pairs.
    @ExplicitNull package var alphaChange: Double?
    /// The median ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull package var relativeNorm: Double?
    /// The median CKA.
    @ExplicitNull package var alignment: Double?
    /// The median overlap of the leading left vectors: the mean cos² of a pair's principal angles.
    @ExplicitNull package var leftOverlap: Double?
    /// The median overlap of the leading right vectors.
    @ExplicitNull package var rightOverlap: Double?

    enum CodingKeys: String, CodingKey {
      case role, matrices, equal, flagged
      case baseAlpha = "median_base_alpha"
      case tunedAlpha = "median_tuned_alpha"
      case alphaChange = "median_delta_alpha"
      case relativeNorm = "median_relative_norm"
      case alignment = "median_cka"
      case leftOverlap = "median_left_overlap"
      case rightOverlap = "median_right_overlap"
    }
  }

  /// A matrix that looks harmed.
  package struct Flag: Codable, Sendable, Equatable {
    /// The name of the matrix.
    package var matrix: String
    /// The kinds of harm: `spectral`, `frobenius`, `rank`, `vanished`, `appeared`.
    package var kinds: [String]
    /// The kinds of harm in words.
    package var message: String
  }

  /// The conclusion from all pairs, and from how much of the models they are.
  package struct Verdict: Codable, Sendable, Equatable {
    /// A conclusion about the tuned model.
    package enum Status: String, Codable, Sendable {
      /// Every weight of the pairs is what it was.
      case equal
      /// Weights have changed, and nothing looks wrong.
      case unharmed
      /// Something looks wrong.
      case harmed
      /// More than a few weights have no partner, so nothing is said of the whole model.
      case partial
    }

    /// The conclusion in one word.
    package var status: Status
    /// The conclusion about what was compared, which is never ``Status/partial``.
    package var compared: Status
    /// The reasons, a sentence each.
    package var reasons: [String]
  }
}
