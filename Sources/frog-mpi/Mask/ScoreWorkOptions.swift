import ArgumentParser
import DistSVD
import FROGDist

/// The options that say how weights are scored, and so how much work a run is.
struct ScoreWorkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "frog; lift: |the best approximation of rank r| (--rank, default 128); magnitude: |W|; random. (default: frog)",
      valueName: "kind"
    ))
  var score: ScoreKind?

  @Option(help: "f64: scores within 9e-7 of exact; f32: within 2e-3, in three quarters of the time. (default: f64)")
  var precision: Precision?

  @Option(
    help: ArgumentHelp(
      "Approximate frog scores by this many leading singular vectors of each matrix and the mean of the rest, and say how well; of the score lift, its rank.",
      valueName: "r"))
  var rank: Int?

  @Option(
    help: ArgumentHelp("Vectors beside those of --rank that the search for them carries. (default: 10)", valueName: "p")
  )
  var oversample: Int?

  @Option(help: ArgumentHelp("Power iterations of the search for --rank vectors. (default: 3)", valueName: "q"))
  var powerIterations: Int?

  @Option(
    help: ArgumentHelp(
      "How many matrices an approximation also scores exactly, to say how good it is. (default: 3)", valueName: "count")
  )
  var audit: Int?

  @Option(
    help: ArgumentHelp(
      "Divide scores by the mean of their matrix, or by row mean × column mean (rowcol), before ranking them. (default: none)",
      valueName: "none|matrix|rowcol"))
  var normalize: Normalization?

  @Option(
    help: ArgumentHelp(
      "When processes share a matrix: memory, if it does not fit one; speed, also if it would hold up the others, and the last bits of a mask then depend on the number of processes. (default: memory)",
      valueName: "memory|speed"))
  var teams: TeamPolicy?

  func validate() throws {
    if let rank {
      guard (1...1_000_000).contains(rank) else { throw ValidationError("--rank must be from 1 to 1000000") }
      guard score != .magnitude, score != .random else {
        throw ValidationError("--rank belongs to the scores frog and lift")
      }
    }
    if let oversample, !(0...1_000_000).contains(oversample) {
      throw ValidationError("--oversample must be from 0 to 1000000")
    }
    if let audit, !(1...10_000).contains(audit) { throw ValidationError("--audit must be from 1 to 10000") }
    if let powerIterations, !(0...100).contains(powerIterations) {
      throw ValidationError("--power-iterations must be from 0 to 100")
    }
  }

  /// The names of the options that were given.
  var given: [String] {
    [
      ("--score", score != nil), ("--precision", precision != nil), ("--rank", rank != nil),
      ("--oversample", oversample != nil), ("--power-iterations", powerIterations != nil), ("--audit", audit != nil),
      ("--normalize", normalize != nil), ("--teams", teams != nil),
    ].filter(\.1).map(\.0)
  }

  /// Refuses what only an approximation can use.
  func refuseApproximation() throws {
    if oversample != nil || powerIterations != nil {
      throw ValidationError(
        "--oversample and --power-iterations belong to an approximation: --rank, with the score frog")
    }
    if audit != nil { throw ValidationError("--audit belongs to an approximation: --rank or --target-overlap") }
  }

  /// What weights are scored by.
  var scoring: ScoringOptions {
    var options = ScoringOptions()
    options.score = score ?? options.score
    options.precision = precision ?? options.precision
    options.rank = rank
    options.oversample = oversample ?? options.oversample
    options.powerIterations = powerIterations ?? options.powerIterations
    options.auditCount = audit ?? options.auditCount
    options.normalize = normalize ?? options.normalize
    options.teams = teams ?? options.teams
    return options
  }
}

extension Precision: ExpressibleByArgument {}
extension ScoreKind: ExpressibleByArgument {}
extension Normalization: ExpressibleByArgument {}
extension TeamPolicy: ExpressibleByArgument {}
