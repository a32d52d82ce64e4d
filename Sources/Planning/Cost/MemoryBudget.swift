import FoundationEssentials
import MPI

/// How much memory a rank may use when nobody says.
package enum MemoryBudget {
  /// What the ranks of this node may use together: four fifths of what is available, or of the limit of the control group
  /// where that is less.
  ///
  /// Nil where the system does not tell.
  package static func ofNode() -> Int? {
    let known = [available(), groupLimit()].compactMap { $0 }
    return known.min().map { $0 / 5 * 4 }
  }

  /// One limit for every rank of the run, the smallest of any node: schedules must not differ.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter given: bytes a rank, of `--memory`.
  package static func agreed(given: Int?, _ world: Communicator) throws -> Int {
    if let given { return given }
    let node = try world.splitByNode()
    return try world.allReduced((ofNode() ?? .max) / node.size, .minimum)
  }

  /// `MemAvailable` of /proc/meminfo.
  private static func available() -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
    return available(inMeminfo: text)
  }

  static func available(inMeminfo text: String) -> Int? {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }), kibibytes > 0,
      kibibytes < 1 << 50
    else { return nil }
    return kibibytes * 1024
  }

  /// The least limit of this process's control group and those above it, of either version.
  private static func groupLimit() -> Int? {
    guard let groups = try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8) else { return nil }
    return groupLimit(ofGroups: groups) { try? String(contentsOfFile: $0, encoding: .utf8) }
  }

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
        // `max`, or a number near 2⁶³, where there is no limit.
        let words = read(path)?.split(whereSeparator: \.isWhitespace) ?? []
        if let limit = words.first.flatMap({ Int($0) }), limit > 0 { limits.append(limit) }
        if group.isEmpty { break }
        group.removeLast()
      }
    }
    return limits.min()
  }
}
