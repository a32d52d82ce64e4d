// What the pairs of a comparison tell together, part by part.
extension ComparisonSummary {
  /// One metric of all pairs that have it on both sides.
  public struct Metric: Codable, Sendable, Equatable {
    /// How many.
    public var matrices: Int
    /// Before.
    public var base: Middle
    /// After.
    public var tuned: Middle
    /// Of the differences.
    public var change: Middle
  }

  /// The middle of some values.
  public struct Middle: Codable, Sendable, Equatable {
    /// Unweighted.
    public var mean: Double
    /// Of all.
    public var median: Double
  }

  /// How far the weights of all pairs have moved.
  public struct Update: Codable, Sendable, Equatable {
    /// How many matrices have not changed at all.
    public var equal: Int
    /// √Σ‖ΔW‖²_F.
    public var norm: Double
    /// √Σ‖ΔW‖²_F / √Σ‖W‖²_F; nil if the base is all zeros.
    @ExplicitNull public var relativeNorm: Double?
    /// Median of ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull public var medianRelativeNorm: Double?
    /// Median CKA.
    @ExplicitNull public var medianAlignment: Double?
    /// The smallest CKA.
    @ExplicitNull public var leastAlignment: Double?
    /// Median of how many singular values hold 99 % of ‖ΔW‖²_F; nil if that was not asked for.
    @ExplicitNull public var medianRank99: Double?

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
  public struct Trends: Codable, Sendable, Equatable {
    /// α is closer to 2…6.
    public var improved: Int
    /// α is farther from 2…6.
    public var worsened: Int
    /// Neither.
    public var unchanged: Int
    /// Without a power law on one side or both.
    public var unfitted: Int
    /// Share of fits with α from 2 to 6, before; nil without fits.
    @ExplicitNull public var baseInRange: Double?
    /// After.
    @ExplicitNull public var tunedInRange: Double?

    enum CodingKeys: String, CodingKey {
      case improved, worsened, unchanged, unfitted
      case baseInRange = "base_in_range"
      case tunedInRange = "tuned_in_range"
    }
  }

  /// The pairs of one role: where the tuning went.
  public struct Role: Codable, Sendable, Equatable {
    /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, or a module's name.
    public var role: String
    /// How many pairs.
    public var matrices: Int
    /// How many have not changed at all.
    public var equal: Int
    /// How many look harmed.
    public var flagged: Int
    /// Median α before, of those with a fit on both sides.
    @ExplicitNull public var baseAlpha: Double?
    /// After.
    @ExplicitNull public var tunedAlpha: Double?
    /// Median Δα.
    @ExplicitNull public var alphaChange: Double?
    /// Median ‖ΔW‖_F/‖W‖_F.
    @ExplicitNull public var relativeNorm: Double?
    /// Median CKA.
    @ExplicitNull public var alignment: Double?
    /// Median mean cos² between the leading left vectors.
    @ExplicitNull public var leftOverlap: Double?
    /// The same of the right ones.
    @ExplicitNull public var rightOverlap: Double?

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
  public struct Flag: Codable, Sendable, Equatable {
    /// Its name.
    public var matrix: String
    /// `spectral`, `frobenius`, `rank`, `vanished`, `appeared`.
    public var kinds: [String]
    /// In words.
    public var message: String
  }

  /// What it comes to.
  public struct Verdict: Codable, Sendable, Equatable {
    /// What the tuned model looks like.
    public enum Status: String, Codable, Sendable {
      /// Every weight of the pairs is what it was.
      case equal
      /// Weights have changed, and nothing looks wrong.
      case unharmed
      /// Something does.
      case harmed
    }

    /// In a word.
    public var status: Status
    /// Why, a sentence each.
    public var reasons: [String]
  }
}
