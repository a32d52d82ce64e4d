import RunCore

/// What is kept of a matrix that has been scored, besides its candidates and other arrays.
struct MatrixRecord: RecordContents {
  static let currentVersion = 1

  let solver: MatrixSolver
  /// Why the usual solver's result was refused; nil normally.
  let rescue: String?
  /// See ``NoiseFactors``.
  let relativeError: Double
  /// See ``NoiseFactors``.
  let rankOneShare: Double
  /// See ``NoiseFactors``.
  let mean: Double
  /// Row, then column factors, m + n Floats.
  let noise: RecordSection
  /// Pairs of Int: a bin, and how many ranked values lie in it; bins ascend, empty ones are left out.
  let histogram: RecordSection
  /// Doubles, descending, in the units of the matrix as it is decomposed; none if the score needs none.
  let singularValues: RecordSection
  let runs: [CandidateRun]
}

/// How the singular vectors of a matrix were found, as far as it shapes the result.
struct MatrixSolver: Codable, Equatable {
  enum Kind: String, Codable {
    case none, exact, randomized
  }

  var kind: Kind
  /// Ranks that did it together.
  var members = 1
  /// Whether the result is that of the other eigensolver, the usual one's having been refused.
  var isRescued = false

  /// As `frog.json` has it; nil if the score needs none. Randomized ones are the same on any number of ranks.
  var label: String? {
    switch kind {
    case .none: nil
    case .exact: (members == 1 ? "local" : "team of \(members)") + (isRescued ? ", QR" : "")
    case .randomized: "randomized" + (isRescued ? ", QR" : "")
    }
  }

  init(_ kind: Kind, members: Int = 1, isRescued: Bool = false) {
    self.kind = kind
    self.members = kind == .exact ? members : 1
    self.isRescued = isRescued
  }
}
