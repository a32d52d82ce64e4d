import MPI
import Planning
import RunCore
import SystemPackage
import Weights

/// A command that reads checkpoints, does something to each of their matrices, and leaves results in a folder.
///
/// ``CommandRun`` takes it from the options to the published results; the command itself says only what is its own:
///
///     prepare    with the headers read: what is to be done, and whether it can be
///     words      with all weights read once: what shapes the result, for the journal and for --resume
///     work       the matrices, stage by stage (``MatrixStage``), and what comes out
package protocol MatrixCommand {
  /// What is known once the headers have been read.
  associatedtype Preparation
  /// What comes out: the document that vouches for the rest.
  associatedtype Product

  /// The files by which the results are known.
  static var kind: OutputKind { get }

  /// What every command is asked.
  var options: RunOptions { get }

  /// Finds out what is to be done, and refuses what cannot be, before any weight is read and anything is written.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - checkpoints: in the order of ``RunOptions/sources``.
  ///   - planner: what all ranks plan with.
  /// - Throws: ``RunFailure``, the same on every rank.
  func prepare(_ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext) throws -> Preparation

  /// What was asked, in words, by option: runs that differ in it have different results.
  ///
  /// Collective: every rank calls it. Inputs besides the checkpoints are read here.
  ///
  /// - Parameter inputs: the checkpoints with their norms, in the order of ``RunOptions/sources``.
  /// - Throws: ``RunFailure``, the same on every rank.
  func words(
    _ preparation: inout Preparation, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) throws -> [String: String]

  /// Does what an earlier process has left to be done.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank; what the journal has by then is kept.
  func work(_ preparation: Preparation, _ run: BegunRun) throws -> FinishedWork<Product>

  /// What an earlier process has finished in a folder.
  ///
  /// Collective: every rank calls it.
  func product(in path: FilePath, world: Communicator) throws -> Product
}

/// Checkpoints whose headers have been read.
package struct LoadedCheckpoints {
  /// The matrices of each, on every rank.
  package let catalogs: [Catalog]
  /// All tensors of each, on rank 0; none elsewhere.
  package let classified: [ClassifiedCheckpoint]
}

/// A run that has begun: everything its stages work with.
package struct BegunRun {
  /// The ranks, who listens, and who may stop the run.
  package let context: RunContext
  /// The checkpoints with their norms, in the order of ``RunOptions/sources``.
  package let inputs: [MatrixInput]
  /// What all ranks plan with.
  package let planner: Planner
  /// The teams of this rank, of all stages.
  package let teams: MatrixTeams
  /// BLAS threads of each rank.
  package let threads: Int
  /// The folder the results go to.
  package let output: OutputDirectory
  /// ``RunIdentity/digest()``, which the records of the journal carry.
  let digest: String

  /// The journal of a stage.
  package func journal(_ stage: String) -> Journal { Journal(in: output.work, stage: stage, run: digest) }
}

/// What a command has made of its matrices, ready to be published.
package struct FinishedWork<Product> {
  /// What came out, on every rank.
  package let product: Product
  /// Large files, finished and synchronized in the work folder.
  package let files: [String]
  /// The small files, made on rank 0; the last one vouches for all others.
  package let documents: () throws -> [Publication.TextFile]
  /// What was done on the way.
  package let totals: StageTotals

  /// Results that wait for their names.
  package init(
    _ product: Product, files: [String] = [], totals: StageTotals,
    documents: @escaping () throws -> [Publication.TextFile]
  ) {
    self.product = product
    self.files = files
    self.totals = totals
    self.documents = documents
  }
}

/// What stages have done, for `run.json`.
package struct StageTotals {
  /// What this rank wrote to its journals.
  package var written: (bytes: Int, time: Duration)
  /// Matrices that an earlier process had finished.
  package var resumed: Int
  /// Matrices that the usual solver failed on, and why, by name.
  package var rescued: [String: String]

  /// The totals of one stage.
  package init(written: (bytes: Int, time: Duration), resumed: Int, rescued: [String: String]) {
    self.written = written
    self.resumed = resumed
    self.rescued = rescued
  }

  /// Takes in a stage that prepares the one that the command is about: only the latter's matrices count as resumed.
  package mutating func add(preparing other: StageTotals) {
    written = (written.bytes + other.written.bytes, written.time + other.written.time)
    rescued.merge(other.rescued) { own, _ in own }
  }
}
