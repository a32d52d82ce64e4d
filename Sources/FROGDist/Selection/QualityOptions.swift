import Spectra
import SpectralQuality

/// What becomes of matrices with α above 6, which have more parameters than they use.
package enum OverparameterizedPolicy: String, Sendable, CaseIterable {
  /// These matrices are treated as others are.
  case keep
  /// These matrices get the largest multiplier there is.
  case boost
  /// These matrices are multiplied by 0, so they keep nothing while others have weights left.
  case exclude
}

/// How the power law of a matrix shapes what is kept of it.
package struct QualityOptions: Sendable, Equatable {
  /// The rule for what a matrix's budget, or its scores under one threshold, is multiplied by.
  package var weight = QualityWeight.none
  /// What becomes of matrices with α above 6.
  package var overparameterized = OverparameterizedPolicy.keep

  /// Options by which nothing depends on power laws.
  package init() {}

  /// Whether anything depends on power laws.
  var isUsed: Bool { weight != .none || overparameterized != .keep }

  /// The multiplier of every matrix, by ordinal.
  func multipliers(_ matrices: [AnalyzedMatrix]) -> [Double] {
    let fits = matrices.map { matrix in
      matrix.isFitted
        ? (alpha: matrix.number("alpha"), alphaWeighted: matrix.number("alpha_weighted"))
        : (alpha: Double?.none, alphaWeighted: Double?.none)
    }
    return zip(fits, weight.multipliers(fits)).map { fit, multiplier in
      guard let alpha = fit.alpha, alpha > TrainingWarning.underTrainedBound else { return multiplier }
      return switch overparameterized {
      case .keep: multiplier
      case .boost: QualityWeight.bounds.upperBound
      case .exclude: 0
      }
    }
  }
}
