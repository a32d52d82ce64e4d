import ArgumentParser
import RunCore

/// The program. A subcommand does the work; failures are reported here.
@main
struct FrogMPI: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "frog-mpi",
    abstract: "Find the weights of a checkpoint that FROG would fine-tune.",
    discussion: """
      Makes a mask for every weight matrix of a Hugging Face safetensors checkpoint, exactly and reproducibly. \
      One process is enough for a small model:

        frog-mpi mask ./my-model --out ./my-masks

      For a large model start as many processes as there are cores, on one machine or on many, with mpirun. They share \
      the work and give the same result:

        mpirun -n 8 frog-mpi mask ./my-model --out ./my-masks

      Exit status: 0 done; 64 wrong command line; 65 bad data; 66 checkpoint missing or unreadable; 70 internal error; \
      74 writing or reading failed; 75 stopped, and can be resumed; 128+n ended by signal n.
      """,
    version: version,
    subcommands: Commands.all)

  static func main() {
    StandardDescriptors.occupy()
    do {
      var command = try parseAsRoot()
      if let command = command as? any RunCommand { command.run(version: version, among: Commands.kinds) }
      try command.run()
      exit(withStatus: .success)
    } catch let failure as RunFailure {
      Terminal.complain(failure.message)
      FrogMPI.exit(withStatus: ExitStatus(failure.kind))
    } catch {
      exit(parsing: error)
    }
  }
}
