import RunCore
import Spectra
import SpectralQuality
import Weights

extension ComparisonSummary {
  /// Summarizes the rows of all pairs.
  ///
  /// - Parameters:
  ///   - matrices: all rows, by ordinal.
  ///   - modelRoles: the roles of the base's matrices.
  ///   - norms: the norms of the base's matrices, by ordinal.
  ///   - details: the text of `details.csv`.
  /// - Complexity: O(n).
  init(
    _ matrices: [ComparedMatrix], _ scale: ScaleFlags, of pairing: MatrixPairing, _ modelRoles: MatrixRoles,
    norms: Norms,
    version: String,
    parameters: Parameters, base: CheckpointSource, tuned: CheckpointSource, details: [UInt8]
  ) {
    self.version = version
    self.parameters = parameters
    self.base = base
    self.tuned = tuned
    pairs = matrices.count
    weights = pairing.base.weightCount
    compared = pairing.share
    renamings = pairing.renamings
    mismatches = pairing.mismatches
    metrics = Self.metrics(matrices)
    update = Update(matrices, squaredNorms: norms.squared)
    trends = Trends(matrices)
    roles = Self.roles(matrices, scale, of: pairing, modelRoles)
    flags = zip(matrices, scale.flags).filter { !$0.1.isEmpty }.map { matrix, kinds in
      Flag(
        matrix: pairing.base.matrices[matrix.ordinal].name, kinds: kinds.map(\.rawValue),
        message: Self.words(kinds, matrix, scale.changes[matrix.ordinal]))
    }
    verdict = Verdict(matrices, scale, metrics, trends).limited(to: pairing.share)
    files = [ComparisonFiles.detailsName: RecordedFile(details)]
  }

  private static func metrics(_ matrices: [ComparedMatrix]) -> [String: Metric] {
    var found: [String: Metric] = [:]
    for (name, value) in MatrixQuality.columns {
      let both = matrices.compactMap { matrix in
        value(matrix.base).flatMap { before in value(matrix.tuned).map { (before, $0) } }
      }
      guard let before = Middle(both.map(\.0)), let after = Middle(both.map(\.1)),
        let change = Middle(both.map { $0.1 - $0.0 })
      else { continue }
      found[name] = Metric(matrices: both.count, base: before, tuned: after, change: change)
    }
    return found
  }

  private static func roles(
    _ matrices: [ComparedMatrix], _ scale: ScaleFlags, of pairing: MatrixPairing, _ modelRoles: MatrixRoles
  ) -> [Role] {
    let groups = Dictionary(grouping: matrices) { matrix in
      modelRoles[pairing.base.matrices[matrix.ordinal]].name
    }
    return groups.map { role, members in
      let fitted = members.compactMap { matrix in
        matrix.base.alpha.flatMap { before in matrix.tuned.alpha.map { (before, $0) } }
      }
      return Role(
        role: role, matrices: members.count, equal: members.count { $0.norm == 0 },
        flagged: members.count { !scale.flags[$0.ordinal].isEmpty },
        baseAlpha: RobustStatistics.median(fitted.map(\.0)), tunedAlpha: RobustStatistics.median(fitted.map(\.1)),
        alphaChange: RobustStatistics.median(fitted.map { $0.1 - $0.0 }),
        relativeNorm: RobustStatistics.median(members.compactMap(\.relativeNorm)),
        alignment: RobustStatistics.median(members.compactMap(\.alignment)),
        leftOverlap: RobustStatistics.median(members.compactMap(\.left?.overlap)),
        rightOverlap: RobustStatistics.median(members.compactMap(\.right?.overlap)))
    }.sorted { $0.role.utf8.lexicographicallyPrecedes($1.role.utf8) }
  }

  private static func words(
    _ kinds: [ScaleFlags.Flag], _ matrix: ComparedMatrix, _ change: ScaleCollapse.Change
  ) -> String {
    kinds.map { kind in
      switch kind {
      case .spectral:
        "its largest eigenvalue has changed out of step with the model: log10 by "
          + "\(Decimal.short(change.spectral ?? 0)), \(Decimal.short(change.spectralExcess ?? 0)) beyond the median"
      case .frobenius:
        "its squared Frobenius norm has changed out of step with the model: log10 by "
          + "\(Decimal.short(change.frobenius ?? 0)), \(Decimal.short(change.frobeniusExcess ?? 0)) beyond the median"
      case .rank:
        "\(matrix.tuned.rank99) directions hold 99 % of its squared weights, where \(matrix.base.rank99) did"
      case .vanished: "all of its weights have become zero"
      case .appeared: "all of its weights were zero in the base"
      }
    }.joined(separator: "; ")
  }
}

extension ComparisonSummary.Middle {
  /// The mean and the median; nil without values.
  fileprivate init?(_ values: [Double]) {
    guard let median = RobustStatistics.median(values) else { return nil }
    self.init(mean: values.reduce(0, +) / Double(values.count), median: median)
  }
}

extension ComparisonSummary.Update {
  fileprivate init(_ matrices: [ComparedMatrix], squaredNorms: [Double]) {
    equal = matrices.count { $0.norm == 0 }
    // Lengths are taken relative to the largest value, so that squares neither overflow nor vanish.
    func length(_ values: [Double]) -> Double {
      guard let largest = values.max(), largest > 0 else { return 0 }
      return largest * values.reduce(0) { $0 + ($1 / largest) * ($1 / largest) }.squareRoot()
    }
    norm = length(matrices.map(\.norm))
    let whole = length(squaredNorms.map { $0.squareRoot() })
    relativeNorm = whole > 0 ? norm / whole : nil
    medianRelativeNorm = RobustStatistics.median(matrices.compactMap(\.relativeNorm))
    medianAlignment = RobustStatistics.median(matrices.compactMap(\.alignment))
    leastAlignment = matrices.compactMap(\.alignment).min()
    medianRank99 = RobustStatistics.median(matrices.compactMap { $0.spectrum.map { Double($0.rank99) } })
  }
}

extension ComparisonSummary.Trends {
  fileprivate init(_ matrices: [ComparedMatrix]) {
    improved = matrices.count { $0.trend == .improved }
    worsened = matrices.count { $0.trend == .worsened }
    unchanged = matrices.count { $0.trend == .unchanged }
    unfitted = matrices.count { $0.trend == nil }
    let fitted = matrices.filter { $0.trend != nil }
    baseInRange = RobustStatistics.share(fitted.compactMap(\.base.alpha))
    tunedInRange = RobustStatistics.share(fitted.compactMap(\.tuned.alpha))
  }
}

extension ComparisonSummary.Verdict {
  fileprivate init(
    _ matrices: [ComparedMatrix], _ scale: ScaleFlags, _ metrics: [String: ComparisonSummary.Metric],
    _ trends: ComparisonSummary.Trends
  ) {
    // 1. A model in which nothing has changed is equal.
    guard matrices.contains(where: { $0.norm > 0 }) else {
      self.init(.equal, ["no weight has changed"])
      return
    }
    // 2. Single matrices may look harmed: out of step with the others, poorer in rank, or all zeros on one side.
    func some(_ count: Int) -> String { "\(count) of \(matrices.count) matrices" }
    func flagged(_ kinds: Set<ScaleFlags.Flag>) -> Int { scale.flags.count { !kinds.isDisjoint(with: $0) } }
    var harm: [String] = []
    for (kinds, words) in [
      ([.spectral, .frobenius], "changed their scale out of step with the others"),
      ([.rank], "lost half of their directions or more"), ([.vanished], "became all zeros"),
      ([.appeared], "are no longer all zeros"),
    ] as [(Set<ScaleFlags.Flag>, String)] {
      let count = flagged(kinds)
      if count > 0 { harm.append("\(some(count)) \(words)") }
    }
    // 3. The whole model may have changed its scale, or its matrices may have come apart.
    for (name, words, changes) in [
      ("log_norm", "squared norms", scale.changes.compactMap(\.frobenius)),
      ("log_spectral_norm", "largest eigenvalues", scale.changes.compactMap(\.spectral)),
    ] {
      if let change = metrics[name]?.change.median, abs(change) > ScaleFlags.modelChange {
        harm.append("the scale of the whole model has changed: log10 of \(words) by \(Decimal.short(change)) (median)")
      }
      if let spread = RobustStatistics.medianAbsoluteDeviation(changes), spread > ScaleFlags.modelSpread {
        harm.append(
          "the scales of matrices have come apart: log10 of \(words) has changed by amounts that differ by "
            + "\(Decimal.short(spread)) (median absolute deviation)")
      }
    }
    // 4. Fits may have become worse in more than the allowed share.
    let fits = trends.improved + trends.worsened + trends.unchanged
    if Double(trends.worsened) > ComparisonSummary.Thresholds.worsened * Double(fits) {
      harm.append("alpha is farther from 2…6 than it was in \(trends.worsened) of \(fits) fits")
    }
    // 5. Any sign of harm decides the verdict, with all signs as its reasons.
    guard harm.isEmpty else {
      self.init(.harmed, harm)
      return
    }
    self.init(
      .unharmed,
      [
        "no matrix changed its scale out of step with the others, or lost half of its directions",
        "alpha is closer to 2…6 in \(trends.improved) of \(fits) fits, farther from it in \(trends.worsened)",
      ])
  }

  private init(_ status: Status, _ reasons: [String]) {
    self.init(status: status, compared: status, reasons: reasons)
  }

  /// The verdict on the whole model, of which the pairs are a share: as it is, or `partial` if too much has no partner.
  fileprivate func limited(to share: ComparisonSummary.Share) -> Self {
    let least = 1 - ComparisonSummary.Thresholds.unpaired
    guard min(share.base, share.tuned) < least else { return self }
    return Self(
      status: .partial, compared: compared,
      reasons: [
        "\(share.words.base) of the weights of the base and \(share.words.tuned) of those of the tuned model were compared",
        "what was compared: \(compared.rawValue)",
      ] + reasons)
  }
}
