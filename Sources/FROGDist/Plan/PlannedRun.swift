/// What a command does beside the work on its matrices, as far as a plan is concerned; one type for each command.
public protocol PlannedRun: Sendable {
  /// As on the command line.
  var command: String { get }
  /// What is done to every matrix.
  var workload: Workload { get }
  /// How many matrices an approximation also scores exactly; of no use without one.
  var auditCount: Int { get }
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
  ///   - audit: nil without one.
  func traffic(_ matrices: [Catalog.Matrix], teams: [Int], audit: AuditPlan?) -> Traffic
}

extension PlannedRun {
  /// There is no approximation.
  public var auditCount: Int { 0 }
  /// The planned one.
  public var checkpoints: Int { 1 }
  /// Tables are small.
  public var lastPhase: String? { nil }
}

/// The bytes that a run moves, of all ranks together.
public struct Traffic: Sendable, Equatable {
  /// From storage or the page cache.
  public var read: Double
  /// To the output's file system.
  public var written: Double
  /// What waits there for the selection and is gone after the run; nil if nothing is selected.
  public var spilled: Double?

  /// So many bytes.
  public init(read: Double, written: Double, spilled: Double? = nil) {
    self.read = read
    self.written = written
    self.spilled = spilled
  }
}
