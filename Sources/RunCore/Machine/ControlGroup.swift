/// A control group of Linux, through which batch systems and containers limit what processes may use.
///
///     let groups = ControlGroup.chain(of: "memory")        // own group first, then those above it
///     groups.compactMap { $0.memoryLimit() }.min()         // 17179869184
///
/// Both versions are read: in version 2 one tree holds all controllers, in version 1 each has a tree of its own.
package struct ControlGroup: Sendable, Equatable {
  /// The version of the interface, 1 or 2.
  let version: Int
  /// The folder with the group's files.
  package let folder: String
  /// The group's name, such as `/system.slice/slurmstepd.scope/job_7`.
  package let name: String

  /// The contents of a file of the kernel; nil if there is no such file.
  package typealias Reader = (_ path: String) -> String?

  /// The groups of this process that control `controller`: its own first, then those above it up to the root; none where there are none.
  package static func chain(of controller: String, read: Reader = SystemFile.contents) -> [ControlGroup] {
    chain(of: controller, ofGroups: read("/proc/self/cgroup") ?? "")
  }

  /// The groups that a text like /proc/self/cgroup names.
  static func chain(of controller: String, ofGroups text: String) -> [ControlGroup] {
    var found: [ControlGroup] = []
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let (version, root): (Int, String)
      if fields[1].isEmpty {
        (version, root) = (2, "/sys/fs/cgroup")
      } else if fields[1].split(separator: ",").contains(Substring(controller)) {
        (version, root) = (1, "/sys/fs/cgroup/" + controller)
      } else {
        continue
      }
      var parts = fields[2].split(separator: "/")
      while true {
        let folder = ([Substring(root)] + parts).joined(separator: "/")
        found.append(ControlGroup(version: version, folder: folder, name: "/" + parts.joined(separator: "/")))
        if parts.isEmpty { break }
        parts.removeLast()
      }
    }
    return found
  }

  /// The bytes that the processes of the group may hold together; nil without a limit.
  package func memoryLimit(read: Reader = SystemFile.contents) -> Int? {
    // Where there is no limit the file says `max`, or a number near 2⁶³.
    let limit = number(version == 2 ? "memory.max" : "memory.limit_in_bytes", read)
    return limit.flatMap { $0 > 0 && $0 < 1 << 60 ? $0 : nil }
  }

  /// How many processes of the group the kernel has killed for lack of memory; nil where it does not tell.
  ///
  /// Version 2 counts those of the groups below too.
  package func killsForMemory(read: Reader = SystemFile.contents) -> Int? {
    let text = read("\(folder)/\(version == 2 ? "memory.events" : "memory.oom_control")") ?? ""
    return SystemFile.number(after: "oom_kill", in: text)
  }

  /// The processor time that the group may use, in cores; nil without a limit.
  func coreLimit(read: Reader = SystemFile.contents) -> Double? {
    if version == 2 {
      let words = (read("\(folder)/cpu.max") ?? "").split(whereSeparator: \.isWhitespace).map { Int($0) }
      guard words.count == 2, let quota = words[0], let period = words[1], quota > 0, period > 0 else { return nil }
      return Double(quota) / Double(period)
    }
    guard let quota = number("cpu.cfs_quota_us", read), let period = number("cpu.cfs_period_us", read), quota > 0,
      period > 0
    else { return nil }
    return Double(quota) / Double(period)
  }

  /// The number of cores that the group's processes may be bound to; nil where the group does not say.
  func coreCount(read: Reader = SystemFile.contents) -> Int? {
    let name = version == 2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus"
    let count = SystemFile.count(ofList: read("\(folder)/\(name)") ?? "")
    return count > 0 ? count : nil
  }

  private func number(_ file: String, _ read: Reader) -> Int? {
    (read("\(folder)/\(file)") ?? "").split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
  }
}
