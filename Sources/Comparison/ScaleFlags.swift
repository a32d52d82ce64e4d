import SpectralQuality

/// The matrices that tuning has harmed. Their scale has changed out of step with the model, or they have lost most of their rank, or they
/// have become all zeros, or were.
///
/// The thresholds are this program's own, since WeightWatcher gives none.
struct ScaleFlags {
  /// The least share of its directions that a matrix must keep. With fewer it has collapsed in rank. Directions are those that hold 99 % of
  /// the squared weights.
  static let rankShare = 0.5
  /// The largest median change of log10 ‖W‖²_F or log10 λmax that is no change of the whole model's scale.
  static let modelChange = ScaleCollapse.leastChange
  /// The largest median absolute deviation of the changes at which single matrices can be told to be out of step.
  ///
  /// Beyond it so many matrices are out of step that none is flagged for it.
  static let modelSpread = ScaleCollapse.leastChange / ScaleCollapse.deviations

  /// The changes of scale, by ordinal.
  let changes: [ScaleCollapse.Change]
  /// What is wrong with each matrix, by ordinal.
  let flags: [[Flag]]

  /// Something wrong with a matrix.
  enum Flag: String, CaseIterable {
    /// The largest singular value has changed out of step.
    case spectral
    /// The Frobenius norm has changed out of step.
    case frobenius
    /// The matrix has lost half of its directions or more.
    case rank
    /// The matrix has become all zeros.
    case vanished
    /// The matrix was all zeros before.
    case appeared
  }

  /// - Parameter matrices: all rows, by ordinal.
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

  /// The flags as a cell of `details.csv`.
  static func text(_ flags: [Flag]) -> String { flags.map(\.rawValue).joined(separator: " ") }
}
