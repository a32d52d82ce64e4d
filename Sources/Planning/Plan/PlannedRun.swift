import RunCore
import Weights

/// What a plan has to know about a command beside its work on single matrices. Each command has one such type.
package protocol PlannedRun: Sendable {
  /// The name of the command, as on the command line.
  var command: String { get }
  /// The work that is done to every matrix.
  var work: any MatrixWork { get }
  /// The number of checkpoints that the norms pass reads: 1 for the planned one, more if others of the same shapes are read too.
  var checkpoints: Int { get }
  /// The phase in which matrices are decomposed, by its name in `run.json`.
  var phase: String { get }
  /// The phase that writes the results, by its name in `run.json`; nil if it takes next to no time.
  var lastPhase: String? { get }

  /// Estimates the bytes that a run reads and writes.
  ///
  /// - Parameters:
  ///   - matrices: all matrices, by ordinal.
  ///   - teams: the number of ranks that share each matrix, by ordinal.
  ///   - rehearsal: what ``rehearsal(_:ranks:rates:limit:)`` returned.
  func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic

  /// Plans what the command does with a few of the matrices before it does all; nil if it does nothing of the kind.
  ///
  /// - Parameters:
  ///   - matrices: all matrices, by ordinal.
  ///   - limit: the bytes that each rank may hold.
  /// - Throws: ``RunFailure`` if that cannot be done, as when a matrix does not fit in memory.
  func rehearsal(_ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, limit: Int) throws(RunFailure)
    -> Rehearsal?

  /// The bytes that a rank needs so that no matrix gets a team for lack of memory.
  ///
  /// A matrix that is too large for one rank whatever its memory counts with what each rank of a team of up to 64 needs.
  ///
  /// - Parameters:
  ///   - matrices: all matrices, by ordinal.
  ///   - ranks: the number of ranks of the run.
  /// - Throws: ``RunFailure`` if the command cannot do what is asked of it.
  func memoryRequirement(of matrices: [Catalog.Matrix], ranks: Int) throws(RunFailure) -> Int
}

extension PlannedRun {
  /// One checkpoint, the planned one.
  package var checkpoints: Int { 1 }
  /// No phase, since commands that write tables alone write little.
  package var lastPhase: String? { nil }

  /// No rehearsal.
  package func rehearsal(
    _ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, limit: Int
  ) throws(RunFailure) -> Rehearsal? { nil }

  /// The requirement of the matrix that needs most.
  package func memoryRequirement(of matrices: [Catalog.Matrix], ranks: Int) throws(RunFailure) -> Int {
    MemoryModel.requirement(of: matrices, work, ranks: ranks)
  }
}

extension MemoryModel {
  /// The bytes that a rank needs for `work` so that no matrix gets a team for lack of memory.
  ///
  /// ``PlannedRun/memoryRequirement(of:ranks:)`` says what counts for a matrix that is too large for any single rank.
  package static func requirement(of matrices: [Catalog.Matrix], _ work: any MatrixWork, ranks: Int) -> Int {
    let team = TeamSizes.upTo(min(ranks, 64)).last ?? 1
    let model = MemoryModel(work, limit: .max)
    return matrices.map { matrix in
      model.bytes(rows: matrix.rows, columns: matrix.columns)
        ?? model.bytes(rows: matrix.rows, columns: matrix.columns, team: team) ?? .max
    }.max() ?? 0
  }
}

/// What a run does with a few of its matrices before it does all, such as the audit of an approximation.
package struct Rehearsal: Sendable {
  /// The name of the phase in `run.json`.
  package let phase: String
  /// The ordinals of these matrices, ascending.
  package let ordinals: [Int]
  /// The predicted seconds from start to end.
  package let seconds: Double
  /// The floating-point operations of all ranks.
  package let operations: Double
  /// The bytes that the neediest rank holds.
  package let peakMemory: Int
  /// The bytes that these matrices take in the checkpoint, each counted once.
  package let bytes: Double

  package init(phase: String, ordinals: [Int], seconds: Double, operations: Double, peakMemory: Int, bytes: Double) {
    self.phase = phase
    self.ordinals = ordinals
    self.seconds = seconds
    self.operations = operations
    self.peakMemory = peakMemory
    self.bytes = bytes
  }
}

/// The bytes that all ranks of a run together read and write.
package struct Traffic: Sendable, Equatable {
  /// The bytes that are read from storage or the page cache.
  package var read: Double
  /// The bytes of the results, written to the output's file system.
  package var written: Double
  /// The bytes of candidates that wait there for the selection and are gone after the run; nil if nothing is selected.
  package var spilled: Double?

  package init(read: Double, written: Double, spilled: Double? = nil) {
    self.read = read
    self.written = written
    self.spilled = spilled
  }
}
