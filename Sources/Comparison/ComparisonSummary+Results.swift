import RunCore

// What the pairs of a comparison tell together, part by part.
extension ComparisonSummary {
  /// One metric of all pairs that have it on both sides.
  package struct Metric: Codable, Sendable, Equatable {
    /// How many.
    package var matrices: Int
    /// Before.
    package var base: Middle
    /// After.
    package var tuned: Middle
    /// Of the differences.
    package var change: Middle
  }

  /// The middle of some values.
  package struct Middle: Codable, Sendable, Equatable {
    /// Unweighted.
    package var mean: Double
    /// Of all.
    package var median: Double
  }

  /// How far the weights of all pairs have moved.
  package struct Update: Codable, Sendable, Equatable {
    /// How many matrices have not changed at all.
    package var equal: Int
    /// √Σ‖ΔW‖²_F.
    package var norm: Double
    /// √Σ‖ΔW‖²_F / √Σ‖W‖²_F; nil if the base is all zeros.
    @ExplicitNull package var relativeNorm: Double?
    /// Median of ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull package var medianRelativeNorm: Double?
    /// Median CKA.
    @ExplicitNull package var medianAlignment: Double?
    /// The smallest CKA.
    @ExplicitNull package var leastAlignment: Double?
    /// Median of how many singular values hold 99 % of ‖ΔW‖²_F; nil if that was not asked for.
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

  /// How the fits have changed; a change within the standard error of α is none.
  package struct Trends: Codable, Sendable, Equatable {
    /// α is closer to 2…6.
    package var improved: Int
    /// α is farther from 2…6.
    package var worsened: Int
    /// Neither.
    package var unchanged: Int
    /// Without a power law on one side or both.
    package var unfitted: Int
    /// Share of fits with α from 2 to 6, before; nil without fits.
    @ExplicitNull package var baseInRange: Double?
    /// After.
    @ExplicitNull package var tunedInRange: Double?

    enum CodingKeys: String, CodingKey {
      case improved, worsened, unchanged, unfitted
      case baseInRange = "base_in_range"
      case tunedInRange = "tuned_in_range"
    }
  }

  /// The pairs of one role: where the tuning went.
  package struct Role: Codable, Sendable, Equatable {
    /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    package var role: String
    /// How many pairs.
    package var matrices: Int
    /// How many have not changed at all.
    package var equal: Int
    /// How many look harmed.
    package var flagged: Int
    /// Median α before, of those with a fit on both sides.
    @ExplicitNull package var baseAlpha: Double?
    /// After.
    @ExplicitNull package var tunedAlpha: Double?
    /// Median Δα.
    @ExplicitNull package var alphaChange: Double?
    /// Median ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull package var relativeNorm: Double?
    /// Median CKA.
    @ExplicitNull package var alignment: Double?
    /// Median mean cos² between the leading left vectors.
    @ExplicitNull package var leftOverlap: Double?
    /// The same of the right ones.
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
    /// Its name.
    package var matrix: String
    /// `spectral`, `frobenius`, `rank`, `vanished`, `appeared`.
    package var kinds: [String]
    /// In words.
    package var message: String
  }

  /// What it comes to.
  package struct Verdict: Codable, Sendable, Equatable {
    /// What the tuned model looks like.
    package enum Status: String, Codable, Sendable {
      /// Every weight of the pairs is what it was.
      case equal
      /// Weights have changed, and nothing looks wrong.
      case unharmed
      /// Something does.
      case harmed
    }

    /// In a word.
    package var status: Status
    /// Why, a sentence each.
    package var reasons: [String]
  }
}
