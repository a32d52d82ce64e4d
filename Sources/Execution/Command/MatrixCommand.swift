import MPI
import Planning
import RunCore
import SystemPackage
import Weights

/// A command that reads checkpoints, does something to each of their matrices, and leaves results in a folder.
///
/// ``CommandRun`` does everything that commands have in common. The command itself adds what is its own:
///
///     arranged   once the headers are read: may cut tensors into other matrices
///     prepare    then: decides what is to be done, and whether it can be
///     words      once all weights are read: says what shapes the result, for the journal and for --resume
///     work       goes through the matrices, stage by stage (``MatrixStage``), and makes the results
package protocol MatrixCommand {
  /// What the command knows once the headers have been read.
  associatedtype Preparation
  /// The result, as the command tells it in the end.
  associatedtype Product

  /// The files by which results of this command are recognized.
  static var kind: OutputKind { get }

  /// The files by which the results of this run are recognized. Commands whose options do not matter leave it out.
  var kind: OutputKind { get }

  /// The options that every command has.
  var options: RunOptions { get }

  /// The catalogs that the command works on, which may cut the same tensors into other matrices. All that follows goes by them: plan, norms,
  /// fingerprints and results.
  ///
  /// Every rank calls it, with the same catalogs, and must get the same. Commands that take matrices as they are leave it out.
  ///
  /// - Parameter catalogs: the catalogs in the order of ``RunOptions/sources``.
  /// - Returns: catalogs of the same checkpoints, in the same order.
  /// - Throws: ``RunFailure``, the same on every rank.
  func arranged(_ catalogs: [Catalog]) throws -> [Catalog]

  /// Decides what is to be done, and refuses what cannot be, before any weight is read and anything is written.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - checkpoints: the loaded checkpoints, in the order of ``RunOptions/sources``.
  ///   - planner: the planner, equal on all ranks.
  /// - Throws: ``RunFailure``, the same on every rank.
  func prepare(_ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext) throws -> Preparation

  /// The options that shape the result, in words. Runs that differ in them have different results.
  ///
  /// Collective: every rank calls it. Inputs other than the checkpoints are read here.
  ///
  /// - Parameter inputs: the checkpoints with their norms, in the order of ``RunOptions/sources``.
  /// - Throws: ``RunFailure``, the same on every rank.
  func words(
    _ preparation: inout Preparation, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) throws -> OptionWords

  /// Does the work that earlier processes of this run have left.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank. What the journal holds by then is kept.
  func work(_ preparation: Preparation, _ run: BegunRun) throws -> FinishedWork<Product>

  /// Reads the result that an earlier process has finished in the folder `path`.
  ///
  /// Collective: every rank calls it.
  func product(in path: FilePath, world: Communicator) throws -> Product
}

extension MatrixCommand {
  package var kind: OutputKind { Self.kind }

  /// The catalogs as they are.
  package func arranged(_ catalogs: [Catalog]) throws -> [Catalog] { catalogs }
}

/// Checkpoints whose headers have been read.
package struct LoadedCheckpoints {
  /// The matrices of each checkpoint, on every rank.
  package let catalogs: [Catalog]
  /// All tensors of each checkpoint, on rank 0; empty on other ranks.
  package let classified: [ClassifiedCheckpoint]
}

/// A run that has begun, with everything that its stages work with.
package struct BegunRun {
  /// The ranks, the listeners to progress and warnings, and the watch that may stop the run.
  package let context: RunContext
  /// The checkpoints with their norms, in the order of ``RunOptions/sources``.
  package let inputs: [MatrixInput]
  /// The planner, equal on all ranks.
  package let planner: Planner
  /// The teams that this rank has joined, shared by all stages.
  package let teams: MatrixTeams
  /// The number of BLAS threads of each rank.
  package let threads: Int
  /// The folder that the results go to.
  package let output: OutputDirectory
  /// The digest of the run's identity (``RunIdentity/digest()``), which every record of the journal carries.
  let digest: String

  /// The journal of the stage named `stage`.
  package func journal(_ stage: String) -> Journal { Journal(in: output.work, stage: stage, run: digest) }
}

/// The results of a command, ready to be published.
package struct FinishedWork<Product> {
  /// The result, as ``MatrixCommand/product(in:world:)`` would give it.
  package let product: Product
  /// The large files, which are finished and synchronized in the work folder.
  package let files: [PublishedFile]
  /// Makes the small files, on rank 0. The last of them vouches for all others.
  package let documents: () throws -> [Publication.TextFile]
  /// What the stages have written, resumed and rescued.
  package let totals: StageTotals

  /// Results that wait for their final names.
  package init(
    _ product: Product, files: [PublishedFile] = [], totals: StageTotals,
    documents: @escaping () throws -> [Publication.TextFile]
  ) {
    self.product = product
    self.files = files
    self.totals = totals
    self.documents = documents
  }
}

/// What the stages of a run have done, for `run.json`.
package struct StageTotals {
  /// The bytes that this rank wrote to its journals, and the time it took.
  package var written: (bytes: Int, time: Duration)
  /// The number of matrices that an earlier process had finished.
  package var resumed: Int
  /// The matrices on which the usual solver failed: the reason of each, by name.
  package var rescued: [String: String]

  package init(written: (bytes: Int, time: Duration), resumed: Int, rescued: [String: String]) {
    self.written = written
    self.resumed = resumed
    self.rescued = rescued
  }

  /// Adds the totals of a stage that prepares the one that the command is about. Only matrices of the latter count as resumed.
  package mutating func add(preparing other: StageTotals) {
    written = (written.bytes + other.written.bytes, written.time + other.written.time)
    rescued.merge(other.rescued) { own, _ in own }
  }
}
