/// How many processes the kernel has killed for lack of memory, on this machine and in the control groups of this process.
///
/// The counts only rise, so two of them tell whether somebody was killed in between.
package struct KillCounts: Codable, Sendable, Equatable {
  /// A control group.
  package struct Group: Codable, Sendable, Equatable {
    /// The folder with the group's files.
    package var folder: String
    /// The group's name.
    package var name: String
    /// The bytes that its processes may hold together; nil without a limit.
    @ExplicitNull package var limit: Int?
    /// How many processes of it were killed.
    package var kills: Int
  }

  /// What tells one start of a machine from another, since counts begin anew with each; nil where the system does not tell.
  @ExplicitNull package var boot: String?
  /// How many processes of the whole machine were killed; nil where the system does not tell.
  @ExplicitNull package var kills: Int?
  /// The groups that count, the process's own first, then those above it.
  package var groups: [Group]

  /// Reads the counts of now.
  static func look(read: ControlGroup.Reader = SystemFile.contents) -> KillCounts {
    let groups = ControlGroup.chain(of: "memory", read: read).compactMap { group in
      group.killsForMemory(read: read).map {
        Group(folder: group.folder, name: group.name, limit: group.memoryLimit(read: read), kills: $0)
      }
    }
    return KillCounts(boot: boot(read), kills: machine(read), groups: groups)
  }

  /// A kill that was counted since.
  enum Kill: Equatable {
    /// In the group that the process was in itself, or if `isOwn` is false in one above it, which other runs share. `name` is the group with
    /// the smallest limit on the way up, which is given in bytes; the group itself if there is no limit.
    case inGroup(name: String, limit: Int?, count: Int, isOwn: Bool)
    /// Somewhere on the machine. The group of the process that was killed may be gone by now, as that of a finished job is.
    case onMachine(count: Int)
  }

  /// The kill that these counts do not have yet and those of now have; nil if there is none, or the machine has been started anew.
  ///
  /// The groups are those of these counts, whether or not this process is in them, since a job that goes on has a group of its own.
  func killSince(read: ControlGroup.Reader = SystemFile.contents) -> Kill? {
    guard boot == Self.boot(read) else { return nil }
    for (index, group) in groups.enumerated() {
      let now = ControlGroup(version: group.version, folder: group.folder, name: group.name).killsForMemory(read: read)
      guard let now, now > group.kills else { continue }
      // A group without a limit of its own is held by those above it.
      let limit = groups[index...].compactMap { upper in upper.limit.map { (upper.name, $0) } }.min { $0.1 < $1.1 }
      return .inGroup(name: limit?.0 ?? group.name, limit: limit?.1, count: now - group.kills, isOwn: index == 0)
    }
    guard let before = kills, let now = Self.machine(read), now > before else { return nil }
    return .onMachine(count: now - before)
  }

  private static func boot(_ read: ControlGroup.Reader) -> String? {
    read("/proc/sys/kernel/random/boot_id").map { String($0.prefix { !$0.isWhitespace }) }
  }

  private static func machine(_ read: ControlGroup.Reader) -> Int? {
    SystemFile.number(after: "oom_kill", in: read("/proc/vmstat") ?? "")
  }
}

extension KillCounts.Group {
  /// The version of the interface that the folder belongs to.
  fileprivate var version: Int { folder.hasPrefix("/sys/fs/cgroup/memory") ? 1 : 2 }
}
