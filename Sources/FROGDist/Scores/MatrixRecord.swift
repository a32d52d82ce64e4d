import RunCore

/// The journal's record of a matrix that has been scored. Its candidates and other arrays lie beside it in the file.
///
/// Invariants, which are checked when a record is read: every histogram counts each of the m·n weights once; `noise` has m + n Floats; the
/// position of every candidate lies in the panel of its run, and every panel in the matrix.
struct MatrixRecord: RecordContents {
  static let currentVersion = 2

  let solver: MatrixSolver
  /// Why the usual solver's result was refused; nil if it was not.
  let rescue: String?
  /// ‖S − row·columnᵀ‖_F / ‖S‖_F: see ``NoiseFactors/relativeError``.
  let relativeError: Double
  /// The share of S's energy in its first singular direction: see ``NoiseFactors/rankOneShare``.
  let rankOneShare: Double
  /// The mean of S, in the units of panels: see ``NoiseFactors/mean``.
  let mean: Double
  /// The sum of S, in the units of panels.
  let scoreSum: Double
  /// The noise factors, m + n Floats: those of the rows come first.
  let noise: RecordSection
  /// The singular values: Doubles, descending, in the units of the matrix as it is decomposed; none if the score needs none.
  let singularValues: RecordSection
  /// What there is of each ranking, in the order of the run's rankings.
  let rankings: [RankingRecord]
}

/// The part of a matrix's record that belongs to one way of ranking.
struct RankingRecord: Codable {
  /// Pairs of Int, a bin and the number of ranked values in it. Bins ascend, and empty ones are left out.
  let histogram: RecordSection
  /// Pairs of Double, a coarse bin and the sum of its scores in the units of panels (``CoarseSums``). Bins ascend, and those without a sum
  /// are left out.
  let sums: RecordSection
  /// The candidates, panel by panel.
  let runs: [CandidateRun]
}

/// The way in which the singular vectors of a matrix were found, as far as it shapes the result.
struct MatrixSolver: Codable, Equatable {
  enum Kind: String, Codable {
    case none, exact, randomized, stored
  }

  var kind: Kind
  /// The number of ranks that decomposed the matrix together.
  var members = 1
  /// Whether the result is that of the other eigensolver, because the usual one's was refused.
  var isRescued = false

  /// The solver as `frog.json` names it; nil if the score needs none.
  ///
  /// A randomized solver, and stored factors, have the same result on any number of ranks, so their labels have no team.
  var label: String? {
    switch kind {
    case .none: nil
    case .exact: (members == 1 ? "local" : "team of \(members)") + (isRescued ? ", QR" : "")
    case .randomized: "randomized" + (isRescued ? ", QR" : "")
    case .stored: "factors"
    }
  }

  init(_ kind: Kind, members: Int = 1, isRescued: Bool = false) {
    self.kind = kind
    self.members = kind == .exact ? members : 1
    self.isRescued = isRescued
  }
}
