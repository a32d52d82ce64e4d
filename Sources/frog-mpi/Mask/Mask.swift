import ArgumentParser
import DistSVD
import Execution
import FROGDist
import MPI
import RunCore
import ShardIO
import SpectralQuality
import SystemPackage
import Weights

/// The command `frog-mpi mask`.
struct Mask: RunCommand {
  static let configuration = CommandConfiguration(
    abstract: "Choose the weights to fine-tune, and write them as masks.",
    discussion: """
      Gives every weight of every weight matrix a score, and keeps the weights with the highest scores. The scores of a matrix \
      are S = |U|Σ|V|ᵀ, made from its singular value decomposition. Embeddings, output heads, norms and biases are left alone; \
      `frog-mpi inspect CHECKPOINT` shows which tensors count.

      The result is the same for any number of processes. On one machine, start as many processes as it has cores:

        mpirun -n 8 frog-mpi mask ./my-model --out ./my-masks --budget 1%

      On a cluster, use your site's mpirun, or `srun --mpi=pmix`, inside a job.

      The decomposition takes nearly all of the time, and one run makes several masks from it: --budget, --keep, --select, --normalize and \
      --sample take lists with commas between. Every combination gets a folder of its own in --out, such as global-1%.
      """)

  @Argument(help: "A folder with safetensors shards, as Hugging Face stores models, or one .safetensors file.")
  var checkpoint: String

  @Option(
    help: ArgumentHelp(
      """
      The share of all weights to keep, such as 1% or 0.01; or lora:16 for as many as LoRA of rank 16 has parameters. Several make \
      several masks: 0.1%,1%,5%. (default: 1%)
      """,
      valueName: "share|lora:rank,…"), transform: Budget.parsingList)
  var budget: CommaList<Budget>?

  @Option(
    help: ArgumentHelp("The number of weights to keep, in place of a share.", valueName: "count,…"),
    transform: Budget.parsingCounts)
  var keep: CommaList<Budget>?

  @Option(
    help: ArgumentHelp(
      """
      How the kept weights are divided among matrices: global keeps the best of the whole model; matrix keeps a share of each matrix \
      in proportion to its importance (--importance); uniform keeps the same share of each; lora divides the budget as LoRA divides its \
      parameters, in proportion to the sum of a matrix's sides. (default: global)
      """,
      valueName: "global|matrix|uniform|lora,…"), transform: CommaList<SelectionMode>.parsing)
  var select: CommaList<SelectionMode>?

  @Option(
    help: ArgumentHelp(
      """
      What the budgets of --select matrix are in proportion to: frobenius is the Frobenius norm; spectral is the largest singular value; \
      nuclear is the sum of the singular values; stable-rank is ‖W‖²/σ₁²; log-norm is ln(1 + ‖W‖). Those of singular values are \
      measured first. (default: frobenius)
      """,
      valueName: "metric"))
  var importance: ImportanceMetric?

  @OptionGroup var work: ScoreWorkOptions

  @Flag(help: "Also write what `analyze` tells about every matrix, from the same decompositions.")
  var analyze = false

  @Option(
    help: ArgumentHelp(
      """
      Give matrices whose power law says that they are well trained up to twice the weight of others. With --select matrix this \
      changes the budget of a matrix, with --select global its scores.
      """,
      valueName: "none|alpha|alpha-hat"))
  var qualityWeight = QualityWeight.none

  @Option(
    help: ArgumentHelp(
      """
      What happens to matrices with alpha above 6, which have more parameters than they use: keep treats them as others; boost gives \
      them the largest weight; exclude keeps nothing of them while others have weights left.
      """, valueName: "keep|boost|exclude"))
  var overparameterized = OverparameterizedPolicy.keep

  @Option(
    help: ArgumentHelp(
      "Approximate scores by the smallest rank that keeps this share of the exactly chosen weights, as tried on a few matrices.",
      valueName: "share"))
  var targetOverlap: Double?

  @Option(
    help: ArgumentHelp(
      """
      Draw the kept weights at random in place of taking the best. The probability of a weight is in proportion to its score raised to \
      the power p. In a list, none stands for the best.
      """,
      valueName: "p,…"), transform: Mask.parsingPowers)
  var sample: CommaList<Double?>?

  @Option(help: "The seed of all random numbers.")
  var seed: UInt64 = 0

  @Option(
    help: ArgumentHelp(
      """
      The checkpoint whose tensors of the same names multiply the scores: [n] has a value for each column, such as norms of \
      activations; [m, n] has one for each weight, such as |G| or G² of gradients.
      """,
      valueName: "dir"))
  var weightBy: String?

  @Flag(
    inversion: .prefixedNo,
    help: """
      Also write histograms of what ranks the weights, some hundred bytes a matrix: what other budgets would keep follows from them.
      """)
  var histograms = true

  @Option(
    help: "How masks are stored: as indices, as a bitmap with a bit for each weight, or auto for the smaller of both.")
  var format = MaskFormat.auto

  @Option(
    help: ArgumentHelp(
      "Also write where to find tensors in the parameters of a loaded model, for those whose name or shape differs there.",
      valueName: "transformers5"))
  var names: ParameterNames?

  @OptionGroup var common: RunArguments

  func validate() throws {
    let scoring = work.scoring
    if budget != nil, keep != nil { throw ValidationError("give --budget or --keep, not both") }
    if let targetOverlap {
      guard targetOverlap > 0, targetOverlap <= 1 else {
        throw ValidationError("--target-overlap must be above 0, at most 1")
      }
      guard scoring.factors == nil else {
        throw ValidationError("--target-overlap looks for an approximation, and --factors gives exact scores")
      }
      guard scoring.score == .frog, scoring.rank == nil else {
        throw ValidationError("--target-overlap looks for a rank of the score frog: leave --rank out")
      }
      guard targets.count == 1 else {
        throw ValidationError("--target-overlap looks for the rank of one mask: give one value for each option")
      }
    }
    if scoring.block != nil {
      guard targets.allSatisfy({ $0.ranking.sample == nil }) else {
        throw ValidationError("--sample draws single weights: leave it out with --block")
      }
      guard targetOverlap == nil else {
        throw ValidationError("--target-overlap compares single weights: leave it out with --block, or give --rank")
      }
    }
    if qualityWeight == .none, overparameterized == .keep, importance?.needsSpectra != true {
      try work.refuseIdleFactors()
    }
    if scoring.score == .one, weightBy == nil {
      throw ValidationError(
        "--score one needs --weight-by: all scores are 1, so that only a signal tells weights apart")
    }
    if importance != nil, targets.contains(where: { $0.select != .matrix }) {
      throw ValidationError("--importance belongs to --select matrix")
    }
    if qualityWeight != .none || overparameterized != .keep,
      targets.contains(where: { $0.select == .uniform || $0.select == .lora })
    {
      throw ValidationError("--quality-weight and --overparameterized belong to --select global or matrix")
    }
    if analyze, qualityWeight == .none, overparameterized == .keep, importance?.needsSpectra != true,
      !scoring.score.needsVectors || scoring.precision != .f64
        || scoring.score == .frog && scoring.rank != nil || targetOverlap != nil
    {
      throw ValidationError(
        "--analyze needs every singular value in double: exact scores with --precision f64; or run frog-mpi analyze")
    }
    if !self.scoring.isApproximate { try work.refuseApproximation() }
    guard targets.count <= MaskTarget.mostOfARun else {
      throw ValidationError(
        "these lists have \(targets.count) combinations, and one run makes at most \(MaskTarget.mostOfARun) masks")
    }
  }

  /// The masks that the run makes: every combination of the lists.
  private var targets: [MaskTarget] {
    MaskTarget.combinations(
      budgets: (keep ?? budget)?.elements ?? [.standard], selections: select?.elements ?? [.global],
      normalizations: work.normalizations, samples: sample?.elements ?? [nil])
  }

  /// The powers that the text of a command line lists; nil for `none`.
  private static func parsingPowers(_ text: String) throws -> CommaList<Double?> {
    try .parsing(
      text, "a power from 0 to 1000 or none, or several of them with commas between", key: { "\($0 ?? -1)" }
    ) { word -> Double?? in
      if word == "none" { return .some(nil) }
      guard let power = Double(word), (0...1000).contains(power) else { return nil }
      return power
    }
  }

  private var scoring: ScoringOptions {
    var options = work.scoring
    options.targetOverlap = targetOverlap
    options.seed = seed
    options.weightBy = weightBy.map { FilePath($0) }
    return options
  }

  var pipeline: MaskPipeline {
    var options = MaskOptions(common.options(["checkpoint": checkpoint]), targets: targets)
    options.importance = importance ?? options.importance
    options.quality.weight = qualityWeight
    options.quality.overparameterized = overparameterized
    options.analyze = analyze
    options.scoring = scoring
    options.format = format
    options.histograms = histograms
    options.names = names
    return MaskPipeline(options)
  }

  /// The short table that is printed at the end.
  func summary(_ outcome: CommandRun<MaskPipeline>.Outcome) -> String {
    let set = outcome.product
    let weights = set.checkpoint.weights
    var lines = [
      ("matrices", Terminal.grouped(set.checkpoint.matrices)),
      ("weights", Terminal.grouped(weights)),
    ]
    lines += SummaryLines.leftOut(set.coverage)
    if set.masks.count == 1, let mask = set.masks.first {
      lines.append(("kept", "\(Self.kept(mask, of: weights)), \(mask.select))"))
      if let threshold = mask.threshold { lines.append(("threshold", Terminal.score(threshold))) }
      if let audit = mask.audit { lines.append(("approximation", Self.words(audit, rank: mask.rank))) }
    } else {
      lines += set.masks.map { mask in
        let audit = mask.audit.map { ", \(Terminal.decimal(100 * $0.overlap, 1))% as exact scores" } ?? ""
        return (mask.folder ?? "", "\(Self.kept(mask, of: weights))\(audit))")
      }
    }
    let out = common.output.out
    return SummaryLines.text(
      lines, outcome.statistics, results: "masks", out: out, below: [SummaryLines.lookingAt(out)])
  }

  /// How much a mask keeps, in words that leave a parenthesis open.
  private static func kept(_ mask: MaskSet.Mask, of weights: Int) -> String {
    let percent = Terminal.decimal(100 * Double(mask.kept) / Double(max(weights, 1)), 3)
    return "\(Terminal.grouped(mask.kept)) (\(percent)%"
  }

  private static func words(_ audit: AuditReport, rank: Int?) -> String {
    "\(rank.map { "rank \($0)" } ?? "no rank is enough"): \(audit.description)"
  }
}

extension ImportanceMetric: ExpressibleByArgument {}
extension QualityWeight: ExpressibleByArgument {}
extension OverparameterizedPolicy: ExpressibleByArgument {}
extension MaskFormat: ExpressibleByArgument {}
extension ParameterNames: ExpressibleByArgument {}

extension Budget {
  /// What the text of a budget must be.
  private static let rule = "a share from 0 to 1 such as 0.01, a percentage such as 1%, or lora:16"

  /// The budget that the text of a command line asks for.
  static func parsing(_ text: String) throws -> Budget {
    guard let budget = Budget(text) else { throw ValidationError("it must be \(rule)") }
    return budget
  }

  /// The budgets that the text of a command line lists.
  static func parsingList(_ text: String) throws -> CommaList<Budget> {
    try .parsing(text, "\(rule), or several of them with commas between", key: \.label) { Budget($0) }
  }

  /// The numbers of weights that the text of a command line lists.
  static func parsingCounts(_ text: String) throws -> CommaList<Budget> {
    try .parsing(text, "a number of 0 or more, or several of them with commas between", key: \.label) { word in
      Int(word).flatMap { $0 < 0 ? nil : .count($0) }
    }
  }
}
