import SpectralQuality

/// A rule that gives every matrix a rank by its singular values.
package enum RankRule: RawRepresentable, Codable, Sendable, Equatable {
  /// The smallest r with Σ_{k≤r} σ²_k at least this share of all, above 0 and at most 1.
  case energy(Double)
  /// The stable rank Σσ² ÷ σ₁², rounded up.
  case stableRank
  /// The usual rank times the multiplier of the power law's α (``SpectralQuality/QualityWeight``), from 0.7 to 1.4.
  case alpha

  package init?(rawValue: String) {
    for rule in [Self.stableRank, .alpha] where rawValue == rule.rawValue {
      self = rule
      return
    }
    let parts = rawValue.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0] == "energy", let share = Double(parts[1]), share > 0, share <= 1 else {
      return nil
    }
    self = .energy(share)
  }

  package var rawValue: String {
    switch self {
    case .energy(let share): "energy:\(share)"
    case .stableRank: "stable-rank"
    case .alpha: "alpha"
    }
  }

  /// The rank of a matrix with these singular values, descending: at least 1, at most their number.
  ///
  /// - Parameter usual: the rank that ``alpha`` multiplies.
  func rank(_ singularValues: [Double], rows: Int, columns: Int, usual: Int) throws -> Int {
    // Values relative to the largest, so that no square overflows.
    guard let largest = singularValues.first, largest > 0 else { return 1 }
    let squares = singularValues.map { ($0 / largest) * ($0 / largest) }
    // Summed from the smallest value on, so that small values count.
    let whole = squares.reversed().reduce(0, +)
    switch self {
    case .alpha:
      let fit = try SpectralMetrics(
        Spectrum(singularValues: singularValues, rows: rows, columns: columns), options: SpectralOptions())
      var alpha: Double?
      for case ("alpha", .number(let value)) in fit.columns { alpha = value }
      let rank = Double(usual) * QualityWeight.multiplier(alpha: alpha)
      return min(max(1, Int(rank.rounded())), squares.count)
    case .stableRank: return min(max(1, Int(whole.rounded(.up))), squares.count)
    case .energy(let share):
      var left = 0.0
      var rank = squares.count
      while rank > 1, left + squares[rank - 1] <= (1 - share) * whole {
        left += squares[rank - 1]
        rank -= 1
      }
      return rank
    }
  }

  /// The ranks of adapters that vLLM serves.
  package static let serveable = [1, 8, 16, 32, 64, 128, 256, 320, 512]

  /// The least rank from `rank` on that vLLM serves; nil if it serves none so large.
  package static func serveable(from rank: Int) -> Int? { serveable.first { $0 >= rank } }
}
