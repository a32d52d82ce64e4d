import ArgumentParser
import Comparison
import Execution

/// The command `frog-mpi compare`.
struct Compare: RunCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell what tuning has done to the matrices of a model, and whether it has harmed them.",
    discussion: """
      Compares two checkpoints matrix by matrix, paired by name, also where modules were renamed or experts stacked: power laws, norms \
      and ranks before and after, the difference and its norm, and how far leading directions have turned. OUT/details.csv has a line \
      for each pair. OUT/summary.json says what all pairs tell together, and has a verdict.

      The result is the same for any number of processes:

        mpirun -n 8 frog-mpi compare ./my-model ./my-model-tuned --out ./my-comparison
      """)

  @Argument(help: "The model before tuning: a folder with safetensors shards, or one .safetensors file.")
  var base: String

  @Argument(help: "The model after tuning: the same matrices, in any type and any shards.")
  var tuned: String

  @OptionGroup var metrics: PairOptions

  @OptionGroup var common: RunArguments

  var pipeline: ComparisonPipeline {
    ComparisonPipeline(ComparisonOptions(common.options(["base": base, "tuned": tuned]), metrics: metrics.choice))
  }

  func summary(_ outcome: CommandRun<ComparisonPipeline>.Outcome) -> String {
    ComparisonDescription(outcome.product, outcome.statistics, out: common.output.out).text
  }
}

/// The options that say what is measured of every pair of matrices.
struct PairOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The number of leading singular vectors that span the spaces to be compared. (default: 16)", valueName: "count"))
  var top: Int?

  @Flag(help: "Also decompose the difference of each pair, which tells how many ranks the tuning has used.")
  var deltaSpectrum = false

  func validate() throws {
    if let top, !(1...4096).contains(top) { throw ValidationError("--top must be from 1 to 4096") }
  }

  /// The names of the options that were given.
  var given: [String] { [("--top", top != nil), ("--delta-spectrum", deltaSpectrum)].filter(\.1).map(\.0) }

  var choice: ComparisonChoice {
    var choice = ComparisonChoice()
    if let top { choice.top = top }
    choice.deltaSpectrum = deltaSpectrum
    return choice
  }
}
