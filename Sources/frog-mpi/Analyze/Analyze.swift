import ArgumentParser
import Execution
import Spectra
import SystemPackage

/// The command `frog-mpi analyze`.
struct Analyze: RunCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell how well the matrices of a model are trained, from their spectra.",
    discussion: """
      Fits a power law to the eigenvalues of every weight matrix, as WeightWatcher does, and measures norms, ranks and entropy. \
      OUT/details.csv has a line for each matrix, with WeightWatcher's columns. OUT/summary.json says what all matrices tell together.

      The result is the same for any number of processes:

        mpirun -n 8 frog-mpi analyze ./my-model --out ./my-analysis
      """)

  @Argument(help: "A folder with safetensors shards, as Hugging Face stores models, or one .safetensors file.")
  var checkpoint: String

  @OptionGroup var metrics: MetricOptions

  @Option(
    help: ArgumentHelp(
      """
      The folder that `factor` has written for this checkpoint: singular values and vectors come from it, and no matrix is decomposed.
      """,
      valueName: "dir"))
  var factors: String?

  @OptionGroup var common: RunArguments

  var pipeline: AnalysisPipeline {
    AnalysisPipeline(
      AnalysisOptions(
        common.options(["checkpoint": checkpoint]), metrics: metrics.choice, factors: factors.map { FilePath($0) }))
  }

  func summary(_ outcome: CommandRun<AnalysisPipeline>.Outcome) -> String {
    AnalysisDescription(outcome.product, outcome.statistics, out: common.output.out).text
  }
}

/// The options that say what is measured of every matrix.
struct MetricOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The columns of details.csv, separated by commas, such as alpha,alpha_weighted,stable_rank. (default: all)",
      valueName: "names"))
  var metrics: String?

  @Flag(help: "Leave the few largest eigenvalues out of the fit if that lowers alpha by more than 1.")
  var fixFingers = false

  @Flag(help: "Also fit a power law with an exponential cut-off.")
  var truncated = false

  @Flag(help: "Also fit a Marchenko-Pastur law to the bulk of the eigenvalues, and count the eigenvalues beyond it.")
  var mpFit = false

  @OptionGroup var work: SpectrumWorkOptions

  @Option(help: "The seed of all random numbers.")
  var seed: UInt64 = 0

  func validate() throws {
    let known = choice.known
    for name in choice.columns where !known.contains(name) {
      throw ValidationError("--metrics: there is no '\(name)' among \(known.joined(separator: ", "))")
    }
  }

  var choice: MetricChoice {
    var choice = work.choice
    choice.columns =
      metrics?.split(separator: ",").map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") } ?? []
    choice.fixFingers = fixFingers
    choice.truncated = truncated
    choice.mpFit = mpFit
    choice.seed = seed
    return choice
  }
}

/// The options of `analyze` that the time or memory of a run depends on.
struct SpectrumWorkOptions: ParsableArguments {
  @Flag(
    help:
      "Also measure every matrix with its entries shuffled, which tells its distance from a random matrix and its correlation traps."
  )
  var randomize = false

  @Flag(help: "Also measure how localized the singular vectors are, in the bulk and in the tail.")
  var vectors = false

  @Option(
    help: ArgumentHelp(
      """
      The number of spectra to draw for a p-value, which says how well the power law fits; 0 for no p-value. (default: 0)
      """, valueName: "count"))
  var pValue: Int?

  @Option(
    help: ArgumentHelp(
      """
      The number of leading directions to compare between what a layer writes and what the next layer reads; 0 for no comparison. \
      (default: 0)
      """,
      valueName: "count"))
  var overlap: Int?

  func validate() throws {
    if let pValue, !(0...1_000_000).contains(pValue) {
      throw ValidationError("--p-value must be from 0 to 1000000")
    }
    if let overlap, !(0...4096).contains(overlap) { throw ValidationError("--overlap must be from 0 to 4096") }
  }

  /// The names of the options that were given.
  var given: [String] {
    [
      ("--randomize", randomize), ("--vectors", vectors), ("--p-value", pValue != nil), ("--overlap", overlap != nil),
    ].filter(\.1).map(\.0)
  }

  var choice: MetricChoice {
    var choice = MetricChoice()
    choice.randomize = randomize
    choice.vectors = vectors
    choice.pValue = pValue ?? 0
    choice.overlap = overlap ?? 0
    return choice
  }
}
