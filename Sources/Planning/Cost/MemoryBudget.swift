import MPI
import RunCore
import ShardIO

/// Finds out how much memory a rank may use where the user does not say.
package enum MemoryBudget {
  /// The bytes that the ranks of this node may use together; nil where the system does not tell.
  ///
  /// They are four fifths of the available memory, or of the limit of the control group where that is less.
  package static func ofNode() -> Int? {
    let groups = ControlGroup.chain(of: "memory").compactMap { $0.memoryLimit() }
    let known = [NodeMemory.available(), groups.min()].compactMap { $0 }
    return known.min().map { $0 / 5 * 4 }
  }

  /// The bytes that each rank may use, the same on every rank, since all ranks must compute the same schedule.
  ///
  /// Without a given limit, it is the smallest share of a rank on any node. It is never more than what the limits of a process leave
  /// (``roomOfProcess()``).
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter given: the bytes for each rank that `--memory` says; nil without the option.
  /// - Returns: the bytes, and whether they would be more without limits of processes.
  package static func agreed(given: Int?, _ world: Communicator) throws -> (bytes: Int, isLimited: Bool) {
    let node = try world.splitByNode()
    let wanted = try world.allReduced(given ?? (ofNode() ?? .max) / node.size, .minimum)
    let room = try world.allReduced(roomOfProcess() ?? .max, .minimum)
    return (min(wanted, room), room < wanted)
  }

  /// The bytes that the limits of this process leave beside what it has in use now; nil without a limit.
  static func roomOfProcess() -> Int? {
    let limits = (addresses: ResourceLimit.addresses.bytes, data: ResourceLimit.data.bytes)
    guard limits != (nil, nil) else { return nil }
    let status = SystemFile.contents("/proc/self/status")
    return room(addresses: limits.addresses, data: limits.data, status: status ?? "")
  }

  /// The least that limits leave beside what a text like /proc/self/status says is in use, in bytes; nil without a limit.
  static func room(addresses: Int?, data: Int?, status: String) -> Int? {
    [(addresses, "VmSize:"), (data, "VmData:")].compactMap { limit, name in
      limit.map { max(0, $0 - (SystemFile.bytes(of: name, in: status) ?? 0)) }
    }.min()
  }
}
