import FoundationEssentials
import MPI
import ShardIO

/// Finds out how much memory a rank may use where the user does not say.
package enum MemoryBudget {
  /// The bytes that the ranks of this node may use together; nil where the system does not tell.
  ///
  /// They are four fifths of the available memory, or of the limit of the control group where that is less.
  package static func ofNode() -> Int? {
    let known = [available(), groupLimit()].compactMap { $0 }
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
    let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    return room(addresses: limits.addresses, data: limits.data, status: status ?? "")
  }

  /// The least that limits leave beside what a text like /proc/self/status says is in use, in bytes; nil without a limit.
  static func room(addresses: Int?, data: Int?, status: String) -> Int? {
    [(addresses, "VmSize:"), (data, "VmData:")].compactMap { limit, name in
      limit.map { max(0, $0 - (bytes(of: name, in: status) ?? 0)) }
    }.min()
  }

  /// The value of `MemAvailable` in /proc/meminfo in bytes; nil where there is none.
  private static func available() -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
    return available(inMeminfo: text)
  }

  /// The value of `MemAvailable` in a text like /proc/meminfo, in bytes.
  static func available(inMeminfo text: String) -> Int? {
    bytes(of: "MemAvailable:", in: text)
  }

  /// The amount after a name in a text of the kernel such as `VmSize:   9 kB`, in bytes; nil if there is none.
  private static func bytes(of name: String, in text: String) -> Int? {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }), kibibytes > 0,
      kibibytes < 1 << 50
    else { return nil }
    return kibibytes * 1024
  }

  /// The smallest memory limit in bytes of this process's control group and those above it, of either version; nil without a limit.
  private static func groupLimit() -> Int? {
    guard let groups = try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8) else { return nil }
    return groupLimit(ofGroups: groups) { try? String(contentsOfFile: $0, encoding: .utf8) }
  }

  /// The smallest limit of the groups in a text like /proc/self/cgroup.
  ///
  /// - Parameter read: returns the content of a file by its path; nil if there is no such file.
  static func groupLimit(ofGroups text: String, read: (String) -> String?) -> Int? {
    var limits: [Int] = []
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let (root, file): (String, String)
      if fields[1].isEmpty {
        (root, file) = ("/sys/fs/cgroup", "memory.max")
      } else if fields[1].split(separator: ",").contains("memory") {
        (root, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
      } else {
        continue
      }
      var group = fields[2].split(separator: "/")
      while true {
        let path = ([root] + group.map(String.init) + [file]).joined(separator: "/")
        // Where there is no limit the file says `max`, or a number near 2⁶³.
        let words = read(path)?.split(whereSeparator: \.isWhitespace) ?? []
        if let limit = words.first.flatMap({ Int($0) }), limit > 0 { limits.append(limit) }
        if group.isEmpty { break }
        group.removeLast()
      }
    }
    return limits.min()
  }
}
