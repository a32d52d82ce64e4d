import ArgumentParser
import FROGDist
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The command `frog-mpi verify`.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check that masks are whole and unchanged.",
    discussion: """
      Reads every byte of an output folder of `frog-mpi mask`. Checksums, index and headers must be right, indices must be unique, \
      ascending and in range, and the number of kept weights and the shapes of scores and noise factors must agree. With --checkpoint it \
      also reads all weights of the checkpoint, and compares their fingerprint with the one that the masks were made from. The exit status \
      is 65 if anything is wrong.

      Under mpirun the processes share the reading.
      """)

  @Argument(help: "An output folder of `frog-mpi mask`.")
  var out: String

  @Option(help: "The checkpoint that the masks should have been made from. (default: not compared)")
  var checkpoint: String?

  @OptionGroup var reading: ReadingChoice

  func run() throws {
    Self.runOnRanks { world, _ in
      let found = try Verification(FilePath(out), on: world).run(
        checkpoint: checkpoint.map { FilePath($0) }, io: reading.io)
      try world.agree { () throws(RunFailure) in
        if world.isRoot { try tell(found) }
      }
      return found.problems.isEmpty ? .success : .badData
    }
  }

  /// Prints what was found, on rank 0. The first problem goes to standard error.
  ///
  /// - Throws: ``RunFailure`` if all is well and that cannot be printed. Problems outweigh a standard output that cannot be written to.
  private func tell(_ report: Verification.Report) throws(RunFailure) {
    let problems = report.problems
    guard let first = problems.first else {
      return try StandardOutput.print(
        "\(out): " + (report.masks > 1 ? "\(report.masks) masks, " : "")
          + "\(Terminal.grouped(report.kept)) kept weights in \(Terminal.grouped(report.matrices)) matrices, "
          + "\(report.files) files: all is well"
          + (checkpoint == nil ? "" : ", and the checkpoint is the one they were made from") + "\n",
        done: "all is well, but that is not printed: ")
    }
    var place = "on standard output"
    do { try StandardOutput.print(problems.dropFirst().map { $0 + "\n" }.joined()) } catch { place = error.message }
    Terminal.complain(first + (problems.count > 1 ? " (and \(problems.count - 1) more, \(place))" : ""))
  }
}
