import SpectralQuality

/// Matrices that tuning has harmed: those whose scale has changed out of step with the model, and those that have lost most of their rank.
///
/// All thresholds are ours; WeightWatcher gives none.
struct ScaleFlags {
  /// A matrix that had n directions with 99 % of its squared weights, and now has fewer than this share of them, has collapsed in rank.
  static let rankShare = 0.5
  /// A median change of log10 ‖W‖²_F or log10 λmax beyond it counts as one of the whole model's scale.
  static let modelChange = ScaleCollapse.leastChange
  /// Where changes lie farther apart than this, in median absolute deviations, so many matrices are out of step that none is flagged for it.
  static let modelSpread = ScaleCollapse.leastChange / ScaleCollapse.deviations

  /// By ordinal.
  let changes: [ScaleCollapse.Change]
  /// By ordinal.
  let flags: [[Flag]]

  /// What is wrong with a matrix.
  enum Flag: String, CaseIterable {
    /// Its largest singular value has changed out of step.
    case spectral
    /// Its Frobenius norm has changed out of step.
    case frobenius
    /// It has lost half of its directions or more.
    case rank
    /// It is all zeros now.
    case vanished
    /// It was all zeros.
    case appeared
  }

  /// - Parameter matrices: by ordinal.
  init(_ matrices: [ComparedMatrix]) {
    let changes = ScaleCollapse.changes(
      matrices.map {
        (
          base: (largest: $0.base.logSpectralNorm, norm: $0.base.logNorm),
          tuned: (largest: $0.tuned.logSpectralNorm, norm: $0.tuned.logNorm)
        )
      })
    self.changes = changes
    flags = zip(matrices, changes).map { matrix, change in
      var found: [Flag] = []
      if change.isSpectralOutlier { found.append(.spectral) }
      if change.isFrobeniusOutlier { found.append(.frobenius) }
      let (before, after) = (matrix.base.rank99, matrix.tuned.rank99)
      if after > 0, Double(after) < Self.rankShare * Double(before) { found.append(.rank) }
      if before > 0, after == 0 { found.append(.vanished) }
      if before == 0, after > 0 { found.append(.appeared) }
      return found
    }
  }

  /// Of a column.
  static func text(_ flags: [Flag]) -> String { flags.map(\.rawValue).joined(separator: " ") }
}
