import DistSVD
import Execution
import Spectra
import SpectralQuality
import Weights

/// One matrix of a pair, after its decomposition.
struct SpectralSide {
  /// What the spectrum tells, in the units of the weights.
  let quality: MatrixQuality
  /// The leading left vectors; nil for a convolution, or if they were refused.
  let left: SingularVectors?
  /// The leading right vectors; nil for a convolution, or if they were refused.
  let right: SingularVectors?
  /// Why the usual solver's result was refused; nil if it was not.
  let rescue: String?

  /// Decomposes a matrix, and measures its spectrum as `analyze` does.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter positions: the number of positions of a convolution's kernel; nil for other matrices.
  init(_ task: MatrixTask, positions: Int?, leading: LeadingVectors) throws {
    let results = try positions.map(task.kernelSpectra) ?? [task.spectrum(leading: leading)]
    let values = results.map { $0.singularValues.map { $0.times(powerOfTwo: task.exponent) } }
    let matrix = task.matrix
    let spectrum = try Spectrum(values, of: matrix, positions: positions)
    quality = MatrixQuality(SpectralMetrics(spectrum, options: MetricChoice().spectral(matrix.name)), of: matrix)
    left = positions == nil ? results[0].left : nil
    right = positions == nil ? results[0].right : nil
    rescue = results.compactMap(\.rescue).first?.description
  }
}

/// What the spectrum of one matrix of a pair tells.
struct MatrixQuality: Codable, Sendable, Equatable {
  /// α; nil without a power law.
  let alpha: Double?
  /// The standard error of α; nil without a power law.
  let sigma: Double?
  /// α̂ = α·log10 λmax; nil without a value.
  let alphaWeighted: Double?
  /// log10 Σλ; nil if all weights are zero.
  let logNorm: Double?
  /// log10 λmax; nil if all weights are zero.
  let logSpectralNorm: Double?
  /// Σλ/λmax; nil if all weights are zero.
  let stableRank: Double?
  /// The number of singular values above what rounding to the stored type makes of zeros: see ``StoredPrecision``.
  let resolvedRank: Int
  /// The number of largest singular values that hold 99 % of Σσ²; 0 if all weights are zero.
  let rank99: Int
  /// The warning of ``TrainingWarning``, as a word.
  let warning: String
  /// Why a column of WeightWatcher's has no value, by column.
  let reasons: [String: String]

  init(_ metrics: SpectralMetrics, of matrix: Catalog.Matrix) {
    let isFitted = metrics.fit.status == .success
    alpha = isFitted ? metrics.fit.alpha : nil
    sigma = isFitted ? metrics.fit.sigma : nil
    alphaWeighted = metrics.alphaWeighted
    logNorm = metrics.norms.logNorm
    logSpectralNorm = metrics.norms.logLargest
    stableRank = metrics.norms.stableRank
    resolvedRank = min(metrics.norms.matrixRank, StoredPrecision.rank(metrics.spectrum.eigenvalues, of: matrix))
    rank99 = EnergyRank.count(holding: 0.99, ofAscending: metrics.spectrum.eigenvalues)
    warning = metrics.warning.rawValue
    let names = Set(Self.columns.map(\.name))
    reasons = metrics.reasons.filter { names.contains($0.key) }
  }

  /// The values that both models are compared by, under the names that `analyze` gives them.
  static var columns: [(name: String, value: @Sendable (MatrixQuality) -> Double?)] {
    [
      ("alpha", \.alpha), ("alpha_weighted", \.alphaWeighted), ("log_norm", \.logNorm),
      ("log_spectral_norm", \.logSpectralNorm), ("stable_rank", \.stableRank),
    ]
  }
}

/// Counts the directions that hold the weights of a matrix.
enum EnergyRank {
  /// The number of largest eigenvalues λ = σ² that add up to a share of all; 0 if all are 0.
  ///
  /// - Complexity: O(n).
  static func count(holding share: Double, ofAscending eigenvalues: [Double]) -> Int {
    // Eigenvalues are taken relative to the largest, so that nothing overflows.
    guard let largest = eigenvalues.last, largest > 0 else { return 0 }
    let total = eigenvalues.reduce(0) { $0 + $1 / largest }
    var sum = 0.0
    for (index, value) in eigenvalues.reversed().enumerated() {
      sum += value / largest
      if sum >= share * total { return index + 1 }
    }
    return eigenvalues.count
  }
}
