import SystemPackage

/// The start times of processes of this node.
enum ProcessStart {
  /// The start of a process in clock ticks since the node started, from `/proc/PID/stat`; nil if there is no such
  /// process or no such file.
  static func ticks(of process: Int32) -> UInt64? {
    guard let text = contents(of: FilePath("/proc/\(process)/stat")) else { return nil }
    return parse(text)
  }

  /// Field 22 of the file. Field 2 is the name of the program in parentheses, and may itself hold blanks and
  /// parentheses.
  static func parse(_ stat: [UInt8]) -> UInt64? {
    guard let nameEnd = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = stat[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
    return fields.count > 19 ? UInt64(String(decoding: fields[19], as: UTF8.self)) : nil
  }

  /// The contents of a file that has no size and comes in one piece, as those in /proc.
  private static func contents(of path: FilePath) -> [UInt8]? {
    guard let descriptor = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
    return try? descriptor.closeAfter {
      try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
        count = try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
    }
  }
}
