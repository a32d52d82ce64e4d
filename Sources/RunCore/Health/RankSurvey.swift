import FoundationEssentials
import MPI

/// What one rank says of itself and of the machine it is on.
///
/// The findings about a run are functions of the surveys of all its ranks.
package struct RankSurvey: Codable, Sendable, Equatable {
  /// The rank in the world.
  package var rank: Int
  /// The lowest rank on the same node, by which nodes are told apart although they may have the same name.
  package var node: Int
  /// The name of the machine.
  package var host: String
  /// The numbers of the cores that the rank may run on.
  package var cores: [Int]
  /// The number of cores that the job may use on this node, whatever this rank is bound to.
  package var allowedCores: Int
  /// The processor time that the control groups allow, in cores; nil without a limit.
  package var coreLimit: Double?
  /// The number of BLAS threads.
  package var threads: Int
  /// Whether the rank gives up its core while it waits for others, which Open MPI does if it is told to.
  package var yieldsWhenIdle: Bool
  package var memory: NodeMemory
  package var files: LocalFiles
  /// The MPI library and its version.
  package var mpi: String
  /// The version of the PMIx library of this process; nil if it has none.
  package var pmix: String?
  /// The version of PMIx that the launcher speaks; nil if it does not say.
  package var launcherPMIx: String?
  /// The BLAS library, its version and the processor it chose its kernels for.
  package var blas: String

  /// Looks at this rank and its machine.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - threads: the number of BLAS threads.
  ///   - blas: the BLAS library, its version and kernels.
  ///   - files: what was there before MPI started.
  package static func take(
    threads: Int, blas: String, files: LocalFiles, launch: LaunchEnvironment, world: Communicator
  ) throws -> RankSurvey {
    let node = try world.splitByNode().allReduced(world.rank, .minimum)
    let cores = ThreadBudget.coreNumbers
    let limits = ControlGroup.chain(of: "cpu").compactMap { $0.coreLimit() }
    let counts = ControlGroup.chain(of: "cpuset").compactMap { $0.coreCount() }
    return RankSurvey(
      rank: world.rank, node: node, host: HostName.own, cores: cores,
      allowedCores: max(cores.count, min(ThreadBudget.coresOnline, counts.min() ?? .max)), coreLimit: limits.min(),
      threads: threads, yieldsWhenIdle: launch.yieldsWhenIdle, memory: NodeMemory.look(), files: files,
      mpi: MPI.libraryVersion(), pmix: MPI.pmixVersion(),
      launcherPMIx: launch.pmixVersion, blas: blas)
  }

  /// The surveys of all ranks, in their order, on rank 0; empty on other ranks.
  ///
  /// Collective: every rank calls it.
  package func gathered(on world: Communicator) throws -> [RankSurvey] {
    let text = try JSONEncoder().encode(self)
    return try world.gather([UInt8](text)).map { try JSONDecoder().decode(RankSurvey.self, from: Data($0)) }
  }
}

/// The ranks of one node.
struct SurveyedNode {
  let ranks: [RankSurvey]

  var host: String { HostName.shown(ranks[0].host) }

  /// The nodes in the order of their lowest ranks.
  static func all(in ranks: [RankSurvey]) -> [SurveyedNode] {
    Dictionary(grouping: ranks, by: \.node).sorted { $0.key < $1.key }.map { SurveyedNode(ranks: $0.value) }
  }

  /// The number of processes in words.
  var processes: String { ranks.count == 1 ? "1 process" : "\(ranks.count) processes" }
}

extension [SurveyedNode] {
  /// One finding for all nodes with the same trouble: about the first of them, with the number of the others.
  func first(_ finding: (SurveyedNode) -> Finding?) -> Finding? {
    let found = compactMap(finding)
    guard let first = found.first else { return nil }
    guard found.count > 1 else { return first }
    let others = found.count - 1
    return Finding(
      topic: first.topic, severity: first.severity,
      found: first.found + ", and likewise on \(others) more node\(others == 1 ? "" : "s")", remedy: first.remedy,
      failure: first.failure)
  }
}
