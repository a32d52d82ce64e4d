import Adapters
import ArgumentParser
import Execution
import FactorCache

/// The command `frog-mpi factor`.
struct Factor: RunCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store the singular value decomposition of every weight matrix.",
    discussion: """
      Writes U, the singular values and the transpose of V of every weight matrix, as safetensors beside an index. Adapters such as \
      SVFT, PiSSA and MiLoRA begin with them. OUT/factors.json says how exact they are.

      The result is the same for any number of processes:

        mpirun -n 8 frog-mpi factor ./my-model --out ./my-factors --rank 128
      """)

  @Argument(help: "A folder with safetensors shards, as Hugging Face stores models, or one .safetensors file.")
  var checkpoint: String

  @OptionGroup var factors: FactorArguments

  @OptionGroup var common: RunArguments

  var pipeline: FactorPipeline {
    FactorPipeline(common.options(["checkpoint": checkpoint]), factors.choice)
  }

  func summary(_ outcome: CommandRun<FactorPipeline>.Outcome) -> String {
    FactorDescription(outcome.product).text(outcome.statistics, out: common.output.out)
  }
}

/// The options that say what is stored of every matrix.
struct FactorArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The number of leading singular triplets to store of each matrix. A matrix that has fewer gives all. (default: all)",
      valueName: "r"))
  var rank: Int?

  @Option(help: "The type of the stored vectors: f32 or bf16. Singular values are always f32. (default: f32)")
  var dtype: FactorType?

  func validate() throws {
    if let rank, !(1...1 << 30).contains(rank) { throw ValidationError("--rank must be at least 1") }
  }

  var choice: FactorChoice { FactorChoice(rank: rank, dtype: dtype ?? .f32) }
}

extension FactorType: ExpressibleByArgument {}
