import RunCore
import Weights

/// What a command does beside the work on its matrices, as far as a plan is concerned; one type for each command.
package protocol PlannedRun: Sendable {
  /// As on the command line.
  var command: String { get }
  /// What is done to every matrix.
  var work: any MatrixWork { get }
  /// How many checkpoints the norms pass reads: the planned one, or others of the same shapes too.
  var checkpoints: Int { get }
  /// The phase in which matrices are decomposed, as `run.json` calls it.
  var phase: String { get }
  /// The phase that writes what comes out, as `run.json` calls it; nil if that is next to nothing.
  var lastPhase: String? { get }

  /// The bytes that a run reads and writes, estimated.
  ///
  /// - Parameters:
  ///   - matrices: by ordinal.
  ///   - teams: how many ranks share each.
  ///   - rehearsal: nil without one.
  func traffic(_ matrices: [Catalog.Matrix], teams: [Int], rehearsal: Rehearsal?) -> Traffic

  /// What the command does with a few of the matrices before it does all; nil if nothing.
  ///
  /// - Parameter limit: bytes that each rank may hold.
  /// - Throws: ``RunFailure`` if that cannot be done.
  func rehearsal(_ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, limit: Int) throws(RunFailure)
    -> Rehearsal?

  /// Bytes that a rank needs so that no matrix gets a team for lack of memory.
  ///
  /// A matrix that is too large for one rank whatever its memory counts with what a team of up to 64 needs.
  ///
  /// - Parameter ranks: how many there are.
  /// - Throws: ``RunFailure`` if the command cannot do what is asked of it.
  func memoryRequirement(of matrices: [Catalog.Matrix], ranks: Int) throws(RunFailure) -> Int
}

extension PlannedRun {
  /// The planned one.
  package var checkpoints: Int { 1 }
  /// Tables are small.
  package var lastPhase: String? { nil }

  /// Nothing is tried beforehand.
  package func rehearsal(
    _ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, limit: Int
  ) throws(RunFailure) -> Rehearsal? { nil }

  /// What the neediest matrix needs.
  package func memoryRequirement(of matrices: [Catalog.Matrix], ranks: Int) throws(RunFailure) -> Int {
    MemoryModel.requirement(of: matrices, work, ranks: ranks)
  }
}

extension MemoryModel {
  /// Bytes that a rank needs so that no matrix gets a team for lack of memory: see ``PlannedRun/memoryRequirement(of:ranks:)``.
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
  /// The phase, as `run.json` calls it.
  package let phase: String
  /// The matrices, by their positions in the catalog, ascending.
  package let ordinals: [Int]
  /// Seconds from start to end.
  package let seconds: Double
  /// Floating-point operations of all of it.
  package let operations: Double
  /// Bytes that the neediest rank holds.
  package let peakMemory: Int
  /// Bytes of these matrices, once.
  package let bytes: Double

  /// What is known of it.
  package init(phase: String, ordinals: [Int], seconds: Double, operations: Double, peakMemory: Int, bytes: Double) {
    self.phase = phase
    self.ordinals = ordinals
    self.seconds = seconds
    self.operations = operations
    self.peakMemory = peakMemory
    self.bytes = bytes
  }
}

/// The bytes that a run moves, of all ranks together.
package struct Traffic: Sendable, Equatable {
  /// From storage or the page cache.
  package var read: Double
  /// To the output's file system.
  package var written: Double
  /// What waits there for the selection and is gone after the run; nil if nothing is selected.
  package var spilled: Double?

  /// So many bytes.
  package init(read: Double, written: Double, spilled: Double? = nil) {
    self.read = read
    self.written = written
    self.spilled = spilled
  }
}
