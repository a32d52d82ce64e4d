import CKernels
import Spectra
import Weights

/// What the importance R of a matrix is its share of, which divides the budget of `--select matrix`.
///
/// Every metric is 0 for a matrix of zeros and positive for any other.
package enum ImportanceMetric: String, Sendable, CaseIterable {
  /// The Frobenius norm ‖W‖_F.
  case frobenius
  /// The spectral norm, σ₁.
  case spectral
  /// The nuclear norm, Σσ.
  case nuclear
  /// The stable rank, ‖W‖²_F / σ₁², which does not depend on the scale of the weights.
  case stableRank = "stable-rank"
  /// ln(1 + ‖W‖_F). The 1 keeps it from being negative for norms below 1, and from being 0 for a norm of 1.
  case logNorm = "log-norm"

  /// Whether the metric takes singular values, which are measured before the scores.
  package var needsSpectra: Bool {
    switch self {
    case .frobenius, .logNorm: false
    case .spectral, .nuclear, .stableRank: true
    }
  }

  /// The importance R of every matrix, by ordinal: shares that add up to 1, equal ones for a model of zeros.
  ///
  /// Norms are from 2^−480 to 2^512, and none is squared here, so nothing overflows or is lost.
  ///
  /// - Parameters:
  ///   - norms: the norms of all matrices.
  ///   - spectra: the spectra of all matrices, by ordinal; only metrics that ``needsSpectra`` look at them.
  func importance(_ norms: Norms, _ spectra: [AnalyzedMatrix]?) -> [Double] {
    Shares.importance(
      of: norms.frobenius.enumerated().map { ordinal, norm in
        guard norm > 0 else { return 0 }
        let spectrum = spectra?[ordinal]
        return switch self {
        case .frobenius: norm
        case .spectral: spectrum?.spectralNorm ?? 0
        case .nuclear: spectrum?.nuclearNorm ?? 0
        case .stableRank: Self.squaredRatio(norm, spectrum?.spectralNorm ?? 0)
        case .logNorm: Self.logarithm(onePlus: norm)
        }
      })
  }

  private static func squaredRatio(_ norm: Double, _ largest: Double) -> Double {
    guard largest > 0 else { return 0 }
    let ratio = norm / largest
    return ratio * ratio
  }

  /// ln(1 + x) for x ≥ 0, with all digits for small x too (Kahan; HP-15C Advanced Functions Handbook, 1982), and the same bits on every
  /// machine.
  private static func logarithm(onePlus x: Double) -> Double {
    let sum = 1 + x
    return sum == 1 ? x : frog_log(sum) * (x / (sum - 1))
  }
}
