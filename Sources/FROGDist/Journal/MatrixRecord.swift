/// What the journal keeps of a finished matrix, besides arrays: the last part of a record.
///
/// Nothing of it is trusted when it is read back: ``RecordReader`` checks it against its file.
protocol RecordContents: Codable {
  static var currentVersion: Int { get }

  /// ``currentVersion`` of the writer.
  var version: Int { get }
  /// ``RunIdentity/digest`` of the run it belongs to.
  var run: String { get }
  var ordinal: Int { get }
  /// The checkpoint's name for the matrix.
  var name: String { get }
}

/// What is kept of a matrix that has been scored, besides its candidates and other arrays.
struct MatrixRecord: RecordContents {
  static let currentVersion = 1

  var version = Self.currentVersion
  let run: String
  let ordinal: Int
  let name: String
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

/// A part of a record's file.
struct RecordSection: Codable, Equatable {
  /// First byte in the file.
  let offset: Int
  /// Its length in bytes.
  let bytes: Int
  /// XXH3-128 in hexadecimal digits, high word first.
  let hash: String

  /// How many elements of `type` it holds.
  func count<T>(of type: T.Type) -> Int { bytes / MemoryLayout<T>.stride }
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

  /// As a number that ranks can exchange.
  var code: Int {
    switch kind {
    case .none: 0
    case .exact: 2 * members + (isRescued ? 1 : 0)
    case .randomized: -2 - (isRescued ? 1 : 0)
    }
  }

  init(_ kind: Kind, members: Int = 1, isRescued: Bool = false) {
    self.kind = kind
    self.members = kind == .exact ? members : 1
    self.isRescued = isRescued
  }

  init(code: Int) {
    let isRescued = code & 1 == 1
    switch code {
    case 0: self.init(.none)
    case ..<0: self.init(.randomized, isRescued: isRescued)
    default: self.init(.exact, members: code / 2, isRescued: isRescued)
    }
  }
}
