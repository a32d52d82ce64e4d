import ArgumentParser
import DistSVD
import FROGDist
import SystemPackage

/// The options that say how weights are scored, on which the time and memory of a run depend.
struct ScoreWorkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      What the score measures: frog is made of all singular values and the absolute values of all singular vectors; lift is the size \
      of the weight in the best approximation of rank r (--rank, default 128); magnitude is the size of the weight; random is a random \
      number, as a control; one is 1 for every weight, so that what --weight-by names ranks alone. (default: frog)
      """,
      valueName: "kind"
    ))
  var score: ScoreKind?

  @Option(
    help: """
      The precision of the decomposition: f64 gives scores within 9e-7 of exact ones; f32 within 2e-3, in three quarters of the time. \
      (default: f64)
      """)
  var precision: Precision?

  @Option(
    help: ArgumentHelp(
      """
      The number of leading singular vectors of each matrix that approximate frog scores, together with the mean of the rest; the run \
      says how well. For the score lift it is the rank of the score. (default: exact frog scores; 128 for lift)
      """,
      valueName: "r"))
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      "The number of vectors that the search for those of --rank carries beside them. (default: 10)", valueName: "p")
  )
  var oversample: Int?

  @Option(
    help: ArgumentHelp(
      "The number of power iterations in the search for the vectors of --rank. (default: 3)", valueName: "q"))
  var powerIterations: Int?

  @Option(
    help: ArgumentHelp(
      "The number of matrices that an approximation also scores exactly, to say how good it is. (default: 3)",
      valueName: "count")
  )
  var audit: Int?

  @Option(
    help: ArgumentHelp(
      """
      What scores are divided by before they are ranked: none divides by nothing; matrix by the mean of their matrix; rowcol by the \
      mean of their row times the mean of their column. (default: none)
      """,
      valueName: "none|matrix|rowcol,…"), transform: CommaList<Normalization>.parsing)
  var normalize: CommaList<Normalization>?

  @Option(
    help: ArgumentHelp(
      """
      Keep whole blocks of so many rows and columns, by the mean of what ranks their weights; those at the right and lower edges of a \
      matrix may be smaller. A budget keeps as many blocks as fit in it. (default: weights are kept one by one)
      """,
      valueName: "side"))
  var block: Int?

  /// The ways in which scores are made comparable, at least one.
  var normalizations: [Normalization] { normalize?.elements ?? [.none] }

  @Option(
    help: ArgumentHelp(
      """
      When processes share a matrix: memory means if it does not fit the memory of one; speed means also if it would hold up the \
      others. With speed the last bits of a mask depend on the number of processes. (default: memory)
      """,
      valueName: "memory|speed"))
  var teams: TeamPolicy?

  @Option(
    help: ArgumentHelp(
      """
      The folder that `factor` has written for this checkpoint: singular values and vectors come from it, and no matrix is decomposed. \
      Scores of F32 factors are within 9e-7 of exact ones, those of BF16 factors within 4e-3.
      """,
      valueName: "dir"))
  var factors: String?

  func validate() throws {
    if factors != nil {
      if let name = given.first(
        where: ["--precision", "--oversample", "--power-iterations", "--audit", "--teams"].contains)
      {
        throw ValidationError("\(name) has no effect with --factors, which decomposes no matrix: leave one of them out")
      }
      guard rank == nil || score == .lift else {
        throw ValidationError(
          "--rank approximates the score frog, and --factors gives exact scores: leave one of them out")
      }
    }
    if let rank {
      guard (1...1_000_000).contains(rank) else { throw ValidationError("--rank must be from 1 to 1000000") }
      guard score?.needsVectors != false else {
        throw ValidationError("--rank belongs to the scores frog and lift")
      }
    }
    if let oversample, !(0...1_000_000).contains(oversample) {
      throw ValidationError("--oversample must be from 0 to 1000000")
    }
    if let audit, !(1...10_000).contains(audit) { throw ValidationError("--audit must be from 1 to 10000") }
    if let block, !ScoringOptions.blockSides.contains(block) {
      throw ValidationError("--block must be from 1 to \(ScoringOptions.blockSides.upperBound)")
    }
    if let powerIterations, !(0...100).contains(powerIterations) {
      throw ValidationError("--power-iterations must be from 0 to 100")
    }
  }

  /// The names of the options that were given.
  var given: [String] {
    [
      ("--score", score != nil), ("--precision", precision != nil), ("--rank", rank != nil),
      ("--oversample", oversample != nil), ("--power-iterations", powerIterations != nil), ("--audit", audit != nil),
      ("--normalize", normalize != nil), ("--block", block != nil), ("--teams", teams != nil),
      ("--factors", factors != nil),
    ].filter(\.1).map(\.0)
  }

  /// Refuses options that belong to an approximation alone.
  func refuseApproximation() throws {
    if oversample != nil || powerIterations != nil {
      throw ValidationError(
        "--oversample and --power-iterations belong to an approximation: --rank, with the score frog")
    }
    if audit != nil { throw ValidationError("--audit belongs to an approximation: --rank or --target-overlap") }
  }

  /// Refuses stored factors where nothing would be taken from them.
  func refuseIdleFactors() throws {
    guard factors != nil, let score, !score.needsVectors else { return }
    throw ValidationError("--factors has no effect with --score \(score.rawValue), which needs no decomposition")
  }

  /// The options of scores that this command line asks for.
  var scoring: ScoringOptions {
    var options = ScoringOptions()
    options.score = score ?? options.score
    options.precision = precision ?? options.precision
    options.rank = rank
    options.oversample = oversample ?? options.oversample
    options.powerIterations = powerIterations ?? options.powerIterations
    options.auditCount = audit ?? options.auditCount
    options.teams = teams ?? options.teams
    options.factors = factors.map { FilePath($0) }
    options.block = block
    return options
  }
}

extension Precision: ExpressibleByArgument {}
extension ScoreKind: ExpressibleByArgument {}
extension TeamPolicy: ExpressibleByArgument {}
