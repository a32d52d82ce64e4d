/// All metrics of one matrix that come from its spectrum.
///
///     let spectrum = try Spectrum(singularValues: values, rows: 4096, columns: 11_008)
///     let metrics = SpectralMetrics(spectrum, options: SpectralOptions(fitsMarchenkoPastur: true))
///     metrics.fit.alpha
///     metrics.columns        // WeightWatcher's names and values
///
/// Definitions, column names and their order are those of WeightWatcher 0.7.7.
///
/// Invariant: a metric that was asked for and has no value is nil, and ``reasons`` holds the reason under the name of
/// its column.
package struct SpectralMetrics: Sendable {
  /// The sides, kernel positions and eigenvalues of the matrix.
  package let spectrum: Spectrum
  /// Norms, ranks and entropy.
  package let norms: SpectralNorms
  /// The power law; that of the clipped spectrum if fingers were fixed.
  package let fit: PowerLawFit
  /// The fit before fingers were clipped, and the number of fingers; nil if not asked for.
  package let fingers: FingerFix?
  /// The truncated power law; nil if not asked for, or there is none.
  package let truncated: TruncatedPowerLaw?
  /// The power law's p-value; nil if not asked for, or there is no fit.
  package let pValue: Double?
  /// α̂ = α·log10 max λ.
  package let alphaWeighted: Double?
  /// log10 Σ λ^α.
  package let logAlphaNorm: Double?
  /// The tail that meets the condition det X = 1.
  package let volume: VolumeCondition?
  /// The number of eigenvalues in the tail of det X = 1, less that in the tail of the power law.
  package let ergGap: Int?
  /// The Marchenko–Pastur law of the bulk; nil if not asked for, or there is none.
  package let marchenkoPastur: MarchenkoPasturFit?
  /// The metrics of spectra of shuffled entries; nil if none were given.
  package let randomized: RandomizedMetrics?
  /// The localization of singular vectors; nil if none were given, or there is no xmin.
  package let vectors: VectorSummary?
  /// The verdict of α on the training of the matrix.
  package let warning: TrainingWarning
  /// Column → the reason why it has no value, in words.
  package let reasons: [String: String]
  private let options: SpectralOptions
  /// Whether vectors were given, even if ``vectors`` is nil.
  private let hasVectors: Bool

  /// Computes the metrics of a spectrum.
  ///
  /// - Parameters:
  ///   - spectrum: the spectrum of a matrix W.
  ///   - randomized: the spectra of W with its entries shuffled, each by other random numbers. The first is compared
  ///     with that of W, and all together show the bulk and the traps. WeightWatcher takes 5 for fewer than 100
  ///     eigenvalues, else 1.
  ///   - vectors: the localization of singular vectors, with their eigenvalues.
  ///   - options: the metrics to compute.
  /// - Complexity: that of the fits that are asked for; O(n) for the rest.
  package init(
    _ spectrum: Spectrum, randomized: [Spectrum] = [],
    vectors: [(eigenvalue: Double, metrics: VectorMetrics)] = [], options: SpectralOptions = SpectralOptions()
  ) {
    // 1. Norms.
    self.spectrum = spectrum
    self.options = options
    let eigenvalues = spectrum.eigenvalues
    let norms = SpectralNorms(spectrum)
    self.norms = norms
    var reasons = ReasonList()
    if norms.logNorm == nil {
      let columns = ["log_norm", "log_spectral_norm", "stable_rank", "entropy"]
      if norms.norm > 0 {
        reasons.add(["norm"] + columns, "the sum of squares is beyond what Double holds")
      } else {
        reasons.add(columns, "every singular value is zero")
      }
    }

    // 2. The power law, and what follows from its α.
    var fingers: FingerFix?
    var fit = PowerLawFit.failed(.tooFewEigenvalues, considered: eigenvalues.count)
    if eigenvalues.count >= options.minimumEigenvalues {
      if options.fitsFingers {
        let fixed = PowerLawFit.clippingFingers(eigenvalues)
        (fingers, fit) = (fixed, fixed.fit)
      } else {
        fit = PowerLawFit.fit(eigenvalues)
      }
    }
    self.fingers = fingers
    self.fit = fit
    let isFitted = fit.status == .success
    alphaWeighted = isFitted ? norms.logLargest.map { fit.alpha * $0 } : nil
    logAlphaNorm = isFitted ? SpectralNorms.logAlphaNorm(eigenvalues, alpha: fit.alpha) : nil
    warning = TrainingWarning(fit)
    if !isFitted {
      reasons.add(
        ReasonList.fit, "fit: " + Self.reason(fit, of: eigenvalues.count, minimum: options.minimumEigenvalues))
    }

    // 3. The truncated power law, and the p-value of the power law.
    var truncated: TruncatedPowerLaw?
    if options.fitsTruncated, isFitted {
      let start = options.truncatesFromPeak ? PowerLawFit.nearPeak(eigenvalues) : fit
      truncated = TruncatedPowerLaw.fit(eigenvalues, xmin: start.xmin)
      if truncated == nil {
        reasons.add(ReasonList.truncated, "truncated fit: the likelihood has no maximum that Newton's method finds")
      }
    }
    self.truncated = truncated
    pValue =
      isFitted
      ? fit.pValue(eigenvalues, bootstraps: options.bootstraps, seed: options.seed, stream: options.stream) : nil

    // 4. The condition det X = 1.
    let volume = VolumeCondition(eigenvalues)
    self.volume = volume
    ergGap = isFitted ? volume.map { $0.count - fit.spikes } : nil
    if volume == nil {
      reasons.add(ReasonList.volume, "det X: fewer than two eigenvalues, or all equal")
    }

    // 5. The bulk, and the spectra of shuffled entries.
    marchenkoPastur =
      options.fitsMarchenkoPastur ? reasons.fitBulk(eigenvalues, of: spectrum, for: ReasonList.bulk) : nil
    self.randomized = RandomizedMetrics(spectrum, randomized, &reasons)
    // 6. Singular vectors, over the bulk and the tail.
    var summary: VectorSummary?
    hasVectors = !vectors.isEmpty
    if hasVectors {
      if isFitted {
        let found = VectorSummary(vectors, xmin: fit.xmin)
        reasons.addVectors(found)
        summary = found
      } else {
        reasons.add(ReasonList.vectors, "vectors: without a fit there is no xmin between bulk and tail")
      }
    }
    self.vectors = summary
    self.reasons = reasons.reasons
  }

  /// Whether the matrix is over-parameterised: α > 6.
  package var isOverparameterized: Bool { warning == .underTrained }

  private static func reason(_ fit: PowerLawFit, of count: Int, minimum: Int) -> String {
    switch fit.status {
    case .success: ""
    case .tooFewEigenvalues where count < minimum: "fewer than \(minimum) eigenvalues"
    case .tooFewEigenvalues: "fewer than two eigenvalues above \(PowerLawFit.threshold)"
    case .allEqual: "no tail has eigenvalues that differ by more than rounding"
    case .notFinite: "an eigenvalue is not finite"
    }
  }

  /// The columns that WeightWatcher does not have. They follow those that it has.
  package static let ownColumns = ["alpha_tpl", "tpl_gain", "pl_pvalue"]
  /// The columns of spectra of shuffled entries.
  package static let randomizedColumns = ReasonList.randomized
  /// The columns of singular vectors.
  package static let vectorColumns = ReasonList.vectors

  /// A row of details.csv, in WeightWatcher's order of columns.
  ///
  /// - Parameter identity: the columns layer_id, name, longname and layer_type.
  package func row(
    _ identity: [(name: String, value: MetricValue?)]
  ) -> [(name: String, value: MetricValue?)] {
    Self.ordered(identity + columns)
  }

  /// Columns in WeightWatcher's order, which is that of pandas: layer_id and name, then the others by ASCII, capitals
  /// before small letters. Our own columns come last.
  package static func ordered(_ columns: [(name: String, value: MetricValue?)]) -> [(name: String, value: MetricValue?)]
  {
    func place(_ name: String) -> Int {
      switch name {
      case "layer_id": 0
      case "name": 1
      default: ownColumns.contains(name) ? 3 : 2
      }
    }
    return columns.sorted { one, other in
      let (first, second) = (place(one.name), place(other.name))
      return first == second ? one.name.utf8.lexicographicallyPrecedes(other.name.utf8) : first < second
    }
  }

  /// The metrics under WeightWatcher's column names, in its order. Metrics that were not asked for are left out.
  ///
  /// A failed fit has −1 in alpha, xmin, D, sigma and num_pl_spikes as in WeightWatcher, but no value where
  /// WeightWatcher reports numbers made of that −1. `Lambda` belongs to the truncated fit, whose exponent is
  /// `alpha_tpl`; `alpha` is always that of the power law.
  package var columns: [(name: String, value: MetricValue?)] {
    var list = ColumnList()
    let fitted = fit.status == .success
    list.count("N", spectrum.larger)
    list.count("M", spectrum.smaller)
    list.count("rf", spectrum.kernelPositions)
    list.number("Q", spectrum.aspectRatio)
    list.text("has_esd", "True")
    list.count("num_evals", spectrum.eigenvalues.count)
    list.number("sv_max", spectrum.largestSingularValue)
    list.number("sv_min", spectrum.smallestSingularValue)
    list.count("rank_loss", spectrum.rankLoss)
    list.count("weak_rank_loss", norms.weakRankLoss)
    list.number("lambda_max", norms.largest)
    list.number("alpha", fit.alpha)
    list.number("xmin", fit.xmin)
    list.number("xmax", fitted ? fit.xmax : nil)
    list.number("D", fit.distance)
    list.number("sigma", fit.sigma)
    list.count("num_pl_spikes", fit.spikes)
    if options.fitsTruncated { list.number("Lambda", truncated?.lambda) }
    if options.fitsFingers {
      list.count("num_fingers", fingers?.fingers ?? 0)
      list.number("raw_alpha", fingers?.raw.alpha ?? -1)
    }
    list.text("status", fitted ? "success" : "failed")
    list.text("warning", warning.rawValue)
    if options.fitsMarchenkoPastur { list.bulk(marchenkoPastur) }
    if hasVectors { list.vectors(vectors) }
    if let randomized { list.randomized(randomized) }
    list.count("detX_num", volume?.count)
    list.count("num_ERG_spikes", volume?.count)
    list.count("ERG_gap", ergGap)
    list.number("detX_val", volume?.value)
    list.number("detX_val_unrescaled", volume?.scaledValue)
    list.number("norm", norms.norm)
    list.number("log_norm", norms.logNorm)
    list.number("spectral_norm", norms.largest)
    list.number("log_spectral_norm", norms.logLargest)
    list.number("alpha_weighted", alphaWeighted)
    list.number("log_alpha_norm", logAlphaNorm)
    list.number("stable_rank", norms.stableRank)
    list.count("matrix_rank", norms.matrixRank)
    list.number("entropy", norms.entropy)
    if options.fitsTruncated {
      list.number("alpha_tpl", truncated?.alpha)
      list.number("tpl_gain", truncated?.gain)
    }
    if options.bootstraps > 0 { list.number("pl_pvalue", pValue) }
    return Self.ordered(list.columns)
  }
}

/// The verdict of α on the training of a matrix, in WeightWatcher's words.
package enum TrainingWarning: String, Sendable {
  /// 2 ≤ α ≤ 6, or no fit. WeightWatcher calls a failed fit over-trained, since its α is −1.
  case none = ""
  /// α < 2.
  case overTrained = "over-trained"
  /// α > 6: over-parameterised.
  case underTrained = "under-trained"

  /// The α below which a matrix is over-trained.
  package static let overTrainedBound = 2.0
  /// The α above which a matrix is under-trained, or over-parameterised.
  package static let underTrainedBound = 6.0

  package init(_ fit: PowerLawFit) {
    guard fit.status == .success else {
      self = .none
      return
    }
    self =
      fit.alpha < Self.overTrainedBound ? .overTrained : fit.alpha > Self.underTrainedBound ? .underTrained : .none
  }
}
