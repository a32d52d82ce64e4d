import SystemPackage

/// When processes of this node began.
enum ProcessStart {
  /// In clock ticks since the node did, from `/proc/PID/stat`; nil if there is no such process, or no such file system.
  static func ticks(of process: Int32) -> UInt64? {
    guard let text = contents(of: FilePath("/proc/\(process)/stat")) else { return nil }
    return parse(text)
  }

  /// Field 22. The second, the program's name in parentheses, may hold anything, blanks and parentheses too.
  static func parse(_ stat: [UInt8]) -> UInt64? {
    guard let nameEnd = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = stat[(nameEnd + 1)...].split(separator: UInt8(ascii: " "))
    return fields.count > 19 ? UInt64(String(decoding: fields[19], as: UTF8.self)) : nil
  }

  /// The file tells no size and comes in one piece.
  private static func contents(of path: FilePath) -> [UInt8]? {
    guard let descriptor = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
    return try? descriptor.closeAfter {
      try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
        count = try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
    }
  }
}
