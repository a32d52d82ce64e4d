/// The memory of this machine, and what the control groups of this process leave of it.
package struct NodeMemory: Codable, Sendable, Equatable {
  /// The bytes of the machine; nil where the system does not tell.
  package var total: Int?
  /// The bytes that can be had without swapping; nil where the system does not tell.
  package var available: Int?
  /// The smallest limit of the control groups of this process in bytes; nil without a limit.
  package var limit: Int?
  /// The name of the group that has the limit.
  package var group: String?

  package init(total: Int? = nil, available: Int? = nil, limit: Int? = nil, group: String? = nil) {
    self.total = total
    self.available = available
    self.limit = limit
    self.group = group
  }

  /// Looks at the machine and the groups as they are now.
  static func look(read: ControlGroup.Reader = SystemFile.contents) -> NodeMemory {
    let text = read("/proc/meminfo") ?? ""
    let limits = ControlGroup.chain(of: "memory", read: read).compactMap { group in
      group.memoryLimit(read: read).map { (group: group.name, bytes: $0) }
    }
    let least = limits.min { $0.bytes < $1.bytes }
    let total = SystemFile.bytes(of: "MemTotal:", in: text)
    // A limit above what the machine has is none.
    let binding = least.flatMap { $0.bytes < total ?? .max ? $0 : nil }
    return NodeMemory(
      total: total, available: available(inMeminfo: text), limit: binding?.bytes, group: binding?.group)
  }

  /// The value of `MemAvailable` in /proc/meminfo in bytes; nil where there is none.
  package static func available() -> Int? { available(inMeminfo: SystemFile.contents("/proc/meminfo") ?? "") }

  /// The value of `MemAvailable` in a text like /proc/meminfo, in bytes.
  static func available(inMeminfo text: String) -> Int? { SystemFile.bytes(of: "MemAvailable:", in: text) }
}
