import Adapters
import ArgumentParser
import FROGDist
import FactorCache
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The command `frog-mpi verify`.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check that masks, factors or adapters are whole and unchanged.",
    discussion: """
      Reads every byte of an output folder of `frog-mpi mask`. Checksums, index and headers must be right, indices must be unique, \
      ascending and in range, and the number of kept weights and the shapes of scores and noise factors must agree. Of a folder of \
      `frog-mpi factor` it checks checksums, index and headers, and of one of `frog-mpi export` checksums and headers. With --checkpoint it also reads all weights of the checkpoint, and compares \
      their fingerprint with the one that the results were made from. The exit status is 65 if anything is wrong.

      Under mpirun the processes share the reading.
      """)

  @Argument(help: "An output folder of `frog-mpi mask`, `frog-mpi factor` or `frog-mpi export`.")
  var out: String

  @Option(help: "The checkpoint that the results should have been made from. (default: not compared)")
  var checkpoint: String?

  @OptionGroup var reading: ReadingChoice

  func run() throws {
    Self.runOnRanks { world, _ in
      let path = FilePath(out)
      let checkpoint = checkpoint.map { FilePath($0) }
      let (problems, contents): ([String], String)
      let kind = try world.fromRoot { FactorFiles.isOutput(path) ? [1] : ExportFiles.isOutput(path) ? [2] : [] }
      if kind == [2] {
        let found = try ExportVerification(path, on: world).run(checkpoint: checkpoint, io: reading.io)
        problems = found.problems
        contents = "adapters of \(found.methods) \(found.methods == 1 ? "method" : "methods"), \(found.files) files"
      } else if kind.isEmpty {
        let found = try Verification(path, on: world).run(checkpoint: checkpoint, io: reading.io)
        problems = found.problems
        contents =
          (found.masks > 1 ? "\(found.masks) masks, " : "")
          + "\(Terminal.grouped(found.kept)) kept weights in \(Terminal.grouped(found.matrices)) matrices, \(found.files) files"
      } else {
        let found = try FactorVerification(path, on: world).run(checkpoint: checkpoint, io: reading.io)
        problems = found.problems
        contents = "factors of \(Terminal.grouped(found.matrices)) matrices, \(found.files) files"
      }
      try world.agree { () throws(RunFailure) in
        if world.isRoot { try tell(problems, contents) }
      }
      return problems.isEmpty ? .success : .badData
    }
  }

  /// Prints what was found, on rank 0. The first problem goes to standard error.
  ///
  /// - Parameter contents: what the folder holds.
  /// - Throws: ``RunFailure`` if all is well and that cannot be printed. Problems outweigh a standard output that cannot be written to.
  private func tell(_ problems: [String], _ contents: String) throws(RunFailure) {
    guard let first = problems.first else {
      return try StandardOutput.print(
        "\(out): \(contents): all is well"
          + (checkpoint == nil ? "" : ", and the checkpoint is the one they were made from") + "\n",
        done: "all is well, but that is not printed: ")
    }
    var place = "on standard output"
    do { try StandardOutput.print(problems.dropFirst().map { $0 + "\n" }.joined()) } catch { place = error.message }
    Terminal.complain(first + (problems.count > 1 ? " (and \(problems.count - 1) more, \(place))" : ""))
  }
}
