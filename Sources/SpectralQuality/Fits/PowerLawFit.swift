/// The power law p(λ) ∝ λ^−α for λ ≥ xmin that fits the tail of a spectrum best.
///
///     let fit = PowerLawFit.fit(eigenvalues)
///     if fit.status == .success { print(fit.alpha, fit.xmin, fit.distance) }
///
/// The method is that of Clauset, Shalizi and Newman (2009), as in WeightWatcher 0.7.7. Every eigenvalue above 10⁻⁵ but
/// the largest is tried as xmin. α is the maximum likelihood estimate for the values from xmin on. The xmin of the
/// smallest distance D wins, the first of equal ones. D compares the two distribution functions at the eigenvalues, the
/// empirical one from below: D = max |1 − (x_j/x_i)^(1−α) − (j−i)/n|.
///
/// Small spectra follow WeightWatcher too. With fewer than 20 values the estimate is α = 1 + (n − 1)/S, and a tail has
/// at least 8 values; with fewer than 8, all values are the tail. WeightWatcher reports σ = −1/√n then, which belongs
/// to an α of 0. Here σ is (α − 1)/√n always.
package struct PowerLawFit: Sendable, Equatable {
  /// Whether there is a fit, and the reason if there is none.
  package enum Status: String, Sendable {
    /// The figures are those of a fit.
    case success
    /// Fewer than two eigenvalues above 10⁻⁵, or fewer than the caller asked for.
    case tooFewEigenvalues
    /// No tail has two values that differ by more than rounding.
    ///
    /// WeightWatcher divides by the sum of their logarithms all the same, and reports α = ∞ or an α of 13 digits.
    case allEqual
    /// An eigenvalue is NaN or infinite.
    case notFinite
  }

  /// Whether the other figures are those of a fit. If not, all but ``considered`` are −1.
  package let status: Status
  /// The exponent, above 1.
  package let alpha: Double
  /// The largest distance of the two distribution functions, D, from 0 to 1.
  package let distance: Double
  /// The standard error of α, (α − 1)/√n for n values in the tail.
  package let sigma: Double
  /// The eigenvalue where the tail begins.
  package let xmin: Double
  /// The largest eigenvalue that was fitted.
  package let xmax: Double
  /// The number of eigenvalues that are xmin or more.
  package let spikes: Int
  /// The number of eigenvalues above ``threshold``.
  package let considered: Int

  /// The value above which eigenvalues count. Others are taken for zeros. It is WeightWatcher's constant, and not
  /// relative to the largest.
  package static let threshold = 1e-5

  static func failed(_ status: Status, considered: Int = 0) -> PowerLawFit {
    PowerLawFit(
      status: status, alpha: -1, distance: -1, sigma: -1, xmin: -1, xmax: -1, spikes: -1, considered: considered)
  }

  /// Fits the law to eigenvalues.
  ///
  /// - Parameters:
  ///   - eigenvalues: λ ≥ 0, in any order.
  ///   - candidates: the range in which xmin is sought; nil for all eigenvalues.
  /// - Complexity: O(n²) at worst, and close to O(n) for spectra of trained matrices (``TailSearch``).
  ///
  /// Accuracy: α is right to a few ε, because logarithms are taken of ratios of neighbours. α and D keep every bit when
  /// all eigenvalues above the threshold are multiplied by a power of two and stay above it.
  package static func fit(_ eigenvalues: [Double], candidates: ClosedRange<Double>? = nil) -> PowerLawFit {
    guard eigenvalues.allSatisfy(\.isFinite) else { return .failed(.notFinite) }
    let sorted = eigenvalues.ascending
    let values = Array(sorted.drop { $0 <= threshold })
    guard let largest = values.last, values.count > 1 else {
      return .failed(.tooFewEigenvalues, considered: values.count)
    }
    var search = TailSearch(values, candidates: candidates)
    guard let best = search.best() else { return .failed(.allEqual, considered: values.count) }
    let xmin = values[best.start]
    return PowerLawFit(
      status: .success, alpha: best.alpha, distance: best.distance,
      sigma: (best.alpha - 1) / Double(values.count - best.start).squareRoot(), xmin: xmin, xmax: largest,
      spikes: values.count - values.lowerBound(xmin), considered: values.count)
  }
}
