import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The screen that standard error ends up on, directly or by way of an MPI launcher.
///
/// Under mpirun standard error is a pipe that mpirun reads and copies to its own. That the text comes on a screen is certain if
///
/// - an ancestor of this process has the reading end of the very pipe that is this process's standard error,
/// - the ancestor is an MPI launcher, since other programs may do anything with what they read, and
/// - the standard error of the ancestor is a terminal, or a pipe of which the same holds.
///
/// All of it is in /proc, which shows the processes of the same user. Where it is missing, and under srun, no screen is found.
struct ErrorTerminal: Sendable {
  /// An own descriptor of the terminal.
  private let descriptor: CInt
  /// The process whose standard error the terminal is: this one, or a launcher.
  private let process: Int32

  /// The screen of this process; nil if there is none, or one that cannot move its cursor.
  static let own: ErrorTerminal? = {
    let kind = getenv("TERM").map { String(cString: $0) } ?? ""
    return kind.isEmpty || kind == "dumb" ? nil : of(getpid(), depth: 4)
  }()

  private static let launchers: Set = [
    "mpirun", "mpiexec", "orterun", "orted", "prterun", "prte", "prted", "hydra_pmi_proxy",
  ]
  /// Options of launchers that change the text on its way, so that it cannot move the cursor.
  private static let changes: Set = [
    "tag-output", "timestamp-output", "xml", "output", "merge-stderr-to-stdout", "prepend-rank", "l",
  ]

  private static func of(_ process: Int32, depth: Int) -> ErrorTerminal? {
    let path = "/proc/\(process)/fd/2"
    let descriptor = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    if descriptor >= 0, isatty(descriptor) == 1 { return ErrorTerminal(descriptor: descriptor, process: process) }
    if descriptor >= 0 { close(descriptor) }
    guard depth > 0, let pipe = target(of: path), pipe.hasPrefix("pipe:") else { return nil }
    var ancestor = ProcessStatus(process)?.parent
    for _ in 0..<16 {
      guard let number = ancestor, number > 1 else { return nil }
      if isLauncher(number), reads(number, pipe) { return of(number, depth: depth - 1) }
      ancestor = ProcessStatus(number)?.parent
    }
    return nil
  }

  private static func target(of path: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: path)
  }

  private static func isLauncher(_ process: Int32) -> Bool {
    guard let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8),
      // Debian has mpirun.openmpi and mpirun.mpich.
      let first = name.split(whereSeparator: { $0 == "." || $0.isNewline }).first, launchers.contains(String(first)),
      let command = try? Data(contentsOf: URL(filePath: "/proc/\(process)/cmdline"))
    else { return false }
    return command.split(separator: 0).dropFirst().allSatisfy { word in
      let option = word.drop { $0 == UInt8(ascii: "-") }.prefix { $0 != UInt8(ascii: "=") }
      return option.count == word.count || !changes.contains(String(decoding: option, as: UTF8.self))
    }
  }

  /// Whether a process has the reading end of a pipe.
  private static func reads(_ process: Int32, _ pipe: String) -> Bool {
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []
    return numbers.contains { number in
      guard target(of: "/proc/\(process)/fd/\(number)") == pipe,
        let info = try? String(contentsOfFile: "/proc/\(process)/fdinfo/\(number)", encoding: .utf8),
        let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags:") }),
        let flags = Int32(line.dropFirst("flags:".count).drop(while: \.isWhitespace), radix: 8)
      else { return false }
      return flags & O_ACCMODE == O_RDONLY
    }
  }

  /// The width and height in characters, as they are now; 80 × 24 where the terminal does not tell.
  var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Whether the process is not in the background of a shell, where it would write into what somebody types.
  var isInForeground: Bool { ProcessStatus(process)?.isInForeground ?? true }
}

/// What /proc tells about a process.
private struct ProcessStatus {
  let parent: Int32
  /// Whether the process is in the foreground of its terminal; true if it has none.
  let isInForeground: Bool

  init?(_ process: Int32) {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      // The name of the program, in parentheses, may hold anything.
      let end = text.lastIndex(of: ")")
    else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    // State, parent, process group, session, terminal, foreground group of the terminal.
    guard fields.count > 5, let parent = Int32(fields[1]), let group = Int32(fields[2]), let front = Int32(fields[5])
    else { return nil }
    self.parent = parent
    isInForeground = front <= 0 || front == group
  }
}
