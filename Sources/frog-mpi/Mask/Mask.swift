import Execution
import Weights
import RunCore
import ArgumentParser
import DistSVD
import FROGDist
import MPI
import ShardIO
import SpectralQuality
import SystemPackage

/// `frog-mpi mask`
struct Mask: RunCommand {
  static let configuration = CommandConfiguration(
    abstract: "Choose the weights to fine-tune and write them as masks.",
    discussion: """
      Scores every weight of every weight matrix by S = |U|Σ|V|ᵀ of the matrix's singular value decomposition and keeps the \
      best. Embeddings, output heads, norms and biases are left alone; `frog-mpi inspect CHECKPOINT` shows what counts.

      The result is the same for any number of processes. On one machine, start as many as it has cores:

        mpirun -n 8 frog-mpi mask ./my-model --out ./my-masks --budget 1%

      On a cluster, use your site's mpirun, or `srun --mpi=pmix`, inside a job.
      """)

  @Argument(help: "A folder with safetensors shards, as Hugging Face stores models, or one .safetensors file.")
  var checkpoint: String

  @Option(help: "The share of all weights to keep: 1% or 0.01. (default: 1%)", transform: Budget.parsing)
  var budget: Budget?

  @Option(help: "The number of weights to keep, instead of a share.")
  var keep: Int?

  @Option(
    help: ArgumentHelp(
      "global: the best of the whole model; matrix: each matrix by its Frobenius norm; uniform: the same share of each.",
      valueName: "mode"))
  var select = SelectionMode.global

  @OptionGroup var work: ScoreWorkOptions

  @Flag(help: "Also write what `analyze` tells of every matrix, from the same decompositions.")
  var analyze = false

  @Option(
    help: ArgumentHelp(
      "Give matrices whose power law says they are well trained up to twice the weight of others: the budget of each with --select matrix, its scores with global.",
      valueName: "none|alpha|alpha-hat"))
  var qualityWeight = QualityWeight.none

  @Option(
    help: ArgumentHelp("What becomes of matrices with alpha above 6.", valueName: "keep|boost|exclude"))
  var overparameterized = OverparameterizedPolicy.keep

  @Option(
    help: ArgumentHelp(
      "Approximate with the smallest rank that keeps this share of the exactly chosen weights on a few matrices.",
      valueName: "share"))
  var targetOverlap: Double?

  @Option(
    help: ArgumentHelp(
      "Draw the kept weights at random, with probability in proportion to score^p, instead of taking the best.",
      valueName: "p"))
  var sample: Double?

  @Option(help: "The seed of all random numbers.")
  var seed: UInt64 = 0

  @Option(
    help: ArgumentHelp(
      "Multiply scores by the tensors of the same names in another checkpoint: activation norms [n] or |G|, G² [m, n].",
      valueName: "dir"))
  var weightBy: String?

  @Option(help: "How masks are stored: indices, bitmap (a bit a weight), or auto for the smaller.")
  var format = MaskFormat.auto

  @Option(
    help: ArgumentHelp(
      "Also write where tensors lie in the parameters of a loaded model, for those whose name or shape differs there.",
      valueName: "transformers5"))
  var names: ParameterNames?

  @OptionGroup var common: RunArguments

  func validate() throws {
    let scoring = work.scoring
    if budget != nil, keep != nil { throw ValidationError("give --budget or --keep, not both") }
    if let keep, keep < 0 { throw ValidationError("--keep must be 0 or more") }
    if let targetOverlap {
      guard targetOverlap > 0, targetOverlap <= 1 else {
        throw ValidationError("--target-overlap must be above 0, at most 1")
      }
      guard scoring.score == .frog, scoring.rank == nil else {
        throw ValidationError("--target-overlap looks for a rank of the score frog: leave --rank out")
      }
    }
    if qualityWeight != .none || overparameterized != .keep, select == .uniform {
      throw ValidationError("--quality-weight and --overparameterized belong to --select global or matrix")
    }
    if analyze, qualityWeight == .none, overparameterized == .keep,
      ![.frog, .lift].contains(scoring.score) || scoring.precision != .f64
        || scoring.score == .frog && scoring.rank != nil || targetOverlap != nil
    {
      throw ValidationError(
        "--analyze needs every singular value in double: exact scores with --precision f64; or run frog-mpi analyze")
    }
    let isApproximate = scoring.score == .frog && (scoring.rank != nil || targetOverlap != nil)
    if !isApproximate { try work.refuseApproximation() }
    if let sample, !(0...1000).contains(sample) { throw ValidationError("--sample must be from 0 to 1000") }
  }

  private var scoring: ScoringOptions {
    var options = work.scoring
    options.targetOverlap = targetOverlap
    options.sample = sample
    options.seed = seed
    options.weightBy = weightBy.map { FilePath($0) }
    return options
  }

  var pipeline: MaskPipeline {
    var options = MaskOptions(
      common.options(["checkpoint": checkpoint]), budget: keep.map { .count($0) } ?? budget ?? .standard)
    options.select = select
    options.quality.weight = qualityWeight
    options.quality.overparameterized = overparameterized
    options.analyze = analyze
    options.scoring = scoring
    options.format = format
    options.names = names
    return MaskPipeline(options)
  }

  /// The short table at the end.
  func summary(_ outcome: CommandRun<MaskPipeline>.Outcome) -> String {
    let record = outcome.product
    let percent = Terminal.decimal(100 * Double(record.kept) / Double(max(record.checkpoint.weights, 1)), 3)
    var lines = [
      ("matrices", Terminal.grouped(record.checkpoint.matrices)),
      ("weights", Terminal.grouped(record.checkpoint.weights)),
      ("kept", "\(Terminal.grouped(record.kept)) (\(percent)%, \(record.parameters.select))"),
    ]
    if let threshold = record.threshold { lines.append(("threshold", Terminal.score(threshold))) }
    if let audit = record.audit {
      let rank = record.parameters.rank.map { "rank \($0)" } ?? "no rank is enough"
      lines.append(("approximation", "\(rank): \(audit.description)"))
    }
    return SummaryLines.text(lines, outcome.statistics, results: "masks", out: common.output.out)
  }
}

extension SelectionMode: ExpressibleByArgument {}
extension QualityWeight: ExpressibleByArgument {}
extension OverparameterizedPolicy: ExpressibleByArgument {}
extension MaskFormat: ExpressibleByArgument {}
extension ParameterNames: ExpressibleByArgument {}

extension Budget {
  /// The budget that a command line asks for.
  static func parsing(_ text: String) throws -> Budget {
    guard let budget = Budget(share: text) else {
      throw ValidationError("it must be a share from 0 to 1 such as 0.01, or a percentage such as 1%")
    }
    return budget
  }
}
