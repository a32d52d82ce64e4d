/// The power law p(λ) ∝ λ^−α for λ ≥ xmin that fits the tail of a spectrum best.
///
/// Method of Clauset, Shalizi and Newman (2009) as WeightWatcher 0.7.7 does it: every eigenvalue above 10⁻⁵ but the largest is
/// tried as xmin, α is its maximum likelihood estimate, and the first xmin of the smallest distance D wins. D compares the
/// distribution functions at the eigenvalues, the empirical one from below: D = max |1 − (x_j/x_i)^(1−α) − (j−i)/n|.
///
/// Small spectra follow the original too: fewer than 20 values take the estimate α = 1 + (n − 1)/S with at least 8 of them, fewer than
/// 8 take all. There the original reports σ of an α of 0, −1/√n; here it is (α − 1)/√n as everywhere.
public struct PowerLawFit: Sendable, Equatable {
  /// Whether there is a fit, and why not.
  public enum Status: String, Sendable {
    /// The figures are those of a fit.
    case success
    /// Fewer than two eigenvalues above 10⁻⁵, or fewer than the caller asked for.
    case tooFewEigenvalues
    /// No tail has two values that differ by more than rounding.
    ///
    /// The original divides by the sum of their logarithms all the same and reports α = ∞ or one of 13 digits.
    case allEqual
    /// An eigenvalue is NaN or infinite.
    case notFinite
  }

  /// Whether the other figures are those of a fit; all are −1 if not.
  public let status: Status
  /// The exponent, above 1.
  public let alpha: Double
  /// D, the largest distance of the two distribution functions, 0 to 1.
  public let distance: Double
  /// (α − 1)/√n for n values in the tail: the standard error of α.
  public let sigma: Double
  /// The eigenvalue where the tail begins.
  public let xmin: Double
  /// The largest eigenvalue fitted.
  public let xmax: Double
  /// How many eigenvalues are xmin or more.
  public let spikes: Int
  /// How many eigenvalues were above 10⁻⁵.
  public let considered: Int

  /// Eigenvalues that are not above count as zeros; the original's constant, not relative to the largest.
  public static let threshold = 1e-5

  static func failed(_ status: Status, considered: Int = 0) -> PowerLawFit {
    PowerLawFit(
      status: status, alpha: -1, distance: -1, sigma: -1, xmin: -1, xmax: -1, spikes: -1, considered: considered)
  }

  /// The fit to eigenvalues; sorts them if they are not ascending.
  ///
  /// - Parameters:
  ///   - eigenvalues: λ ≥ 0.
  ///   - candidates: xmin is looked for in here only.
  /// - Complexity: O(n²) at worst, close to O(n) for spectra of trained matrices: see ``TailSearch``.
  ///
  /// Accuracy: α to a few ε, because logarithms are taken of ratios of neighbours. α and D do not change by a bit when all
  /// eigenvalues above the threshold are multiplied by a power of two and stay above it.
  public static func fit(_ eigenvalues: [Double], candidates: ClosedRange<Double>? = nil) -> PowerLawFit {
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
