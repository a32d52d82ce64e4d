import ShardIO
import SystemPackage

/// What a process of a run has found about memory when it began, and what it was about to need: the file `memory.json` in the work folder.
///
/// The next process compares it with what it finds. It is no part of the run's identity.
struct MemoryAtStart: Codable, Equatable {
  static let currentVersion = 1

  var formatVersion = Self.currentVersion
  /// The nodes of the run.
  let nodes: [Node]

  /// A machine, and the ranks on it.
  struct Node: Codable, Equatable {
    let host: String
    /// The number of processes on it.
    let ranks: Int
    /// The bytes that the neediest of them needs by the plan.
    let largestRank: Int
    /// The bytes that all of them need together.
    let allRanks: Int
    /// The counts of kills when the process began.
    let counts: KillCounts

    private enum CodingKeys: String, CodingKey {
      case host, ranks, counts
      case largestRank = "planned_bytes_per_rank"
      case allRanks = "planned_bytes"
    }

    /// The sentence that names a kill on this node since; nil if there was none.
    func sentence(read: ControlGroup.Reader = SystemFile.contents) -> String? {
      guard let kill = counts.killSince(read: read) else { return nil }
      let plan =
        "the plan wanted up to \(Amount.of(largestRank)) a process, \(Amount.of(allRanks)) for \(ranks == 1 ? "1 process" : "\(ranks) processes") on host \(HostName.shown(host))"
      let remedy = "start fewer processes a node, lower --memory, or ask for more memory"
      switch kill {
      case .inGroup(let name, let limit, let count, let isOwn):
        let group = "control group \(shown(FilePath(name)))"
        let who =
          limit.map { "the memory limit of \(Amount.of($0)) of \(group) has" } ?? "a lack of memory in \(group) has"
        return
          "\(who) ended \(processes(count)) since the run began, \(isOwn ? "probably" : "perhaps") of this run; \(plan): \(remedy)"
      case .onMachine(let count):
        return
          "a lack of memory on host \(HostName.shown(host)) has ended \(processes(count)) since the run began, perhaps of this run; "
          + "\(plan): \(remedy)"
      }
    }

    private func processes(_ count: Int) -> String { count == 1 ? "a process" : "\(count) processes" }
  }

  private enum CodingKeys: String, CodingKey {
    case nodes
    case formatVersion = "format_version"
  }
}
