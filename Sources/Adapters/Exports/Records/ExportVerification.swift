import Execution
import MPI
import RunCore
import ShardIO
import SystemPackage

/// Checks an output folder of `export` against itself and, if asked, against its checkpoint.
package struct ExportVerification {
  private let world: Communicator
  private let path: FilePath

  /// - Parameter path: the path of the output folder.
  package init(_ path: FilePath, on world: Communicator) {
    self.path = path
    self.world = world
  }

  /// What has been checked, and what is wrong with it.
  package struct Report {
    /// The number of methods.
    package var methods = 0
    /// The number of files.
    package var files = 0
    /// The problems, a line each; none if all is well.
    package var problems: [String] = []
  }

  /// Checks every byte of every file except `run.json`. The ranks share the files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter checkpoint: the checkpoint that the adapters should be for; nil if that is not asked.
  /// - Throws: ``RunFailure`` if there is no output to check.
  package func run(checkpoint: FilePath?, io: SourceKind) throws -> Report {
    let record = try ExportFiles.decode(world.fromRoot { try ExportFiles.read(in: path).text }, in: path)
    let files = record.files.sorted { ExactName($0.key) < ExactName($1.key) }
    var report = Report(methods: record.parameters.methods.count, files: files.count)
    report.problems = try world.sharing {
      stride(from: world.rank, to: files.count, by: world.size).compactMap { number in
        files[number].value.problem(at: path.pushing(FilePath(files[number].key)), vouchedBy: ExportFiles.recordName)
      }
    }
    if report.problems.isEmpty, let checkpoint {
      report.problems += try world.comparing(
        record.checkpoint, of: record.parameters.tensors, with: checkpoint, io: io, what: "adapters")
    }
    return report
  }
}
