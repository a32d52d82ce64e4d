import Adapters
import ArgumentParser
import Execution
import SystemPackage

/// The command `frog-mpi export`.
struct Export: RunCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prepare adapters such as PiSSA, MiLoRA, SVFT and LoRA-XS from one decomposition of every matrix.",
    discussion: """
      Writes a folder for each method: an adapter that PEFT or frogmask loads, and for methods that take a part out of the weights the \
      base without it. All methods share one decomposition of each matrix. README.md in each folder says how to train with it.

      The result is the same for any number of processes:

        mpirun -n 8 frog-mpi export pissa,svft ./my-model --out ./my-adapters --rank 64
      """)

  @Argument(
    help: ArgumentHelp(
      "One or more of \(ExportMethod.allCases.map(\.rawValue).joined(separator: ", ")), with commas between.",
      valueName: "method,…"), transform: CommaList<ExportMethod>.parsing)
  var methods: CommaList<ExportMethod>

  @Argument(help: "A folder with safetensors shards, as Hugging Face stores models, or one .safetensors file.")
  var checkpoint: String

  @OptionGroup var adapters: ExportArguments

  @Option(
    help: ArgumentHelp(
      "The folder that `factor` has written for this checkpoint: triplets come from it, and no matrix is decomposed.",
      valueName: "dir"))
  var factors: String?

  @OptionGroup var common: RunArguments

  func validate() throws {
    try adapters.validate(for: methods.elements)
    if common.tensors.splitFused { throw ValidationError("adapters belong to whole modules: leave out --split-fused") }
  }

  var pipeline: ExportPipeline {
    ExportPipeline(
      common.options(["checkpoint": checkpoint]), adapters.choice(methods.elements),
      factors: factors.map { FilePath($0) }, gradients: adapters.gradients.map { FilePath($0) })
  }

  func summary(_ outcome: CommandRun<ExportPipeline>.Outcome) -> String {
    ExportDescription(outcome.product).text(outcome.statistics, out: common.output.out)
  }
}
