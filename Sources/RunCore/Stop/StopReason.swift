#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The reason why a run stops.
enum StopReason: Equatable, Sendable {
  /// The process of this rank got a signal.
  case signal(Int32, rank: Int)
  /// The time ``StopWatch/Limits/end`` has come.
  case time
  /// The halt file is there, with this text in it. A person who makes the file usually leaves it empty.
  case halt(String)

  /// The reason in a few words, for a message and for the halt file.
  var description: String {
    switch self {
    case .signal(let number, let rank): Self.name(of: number) + (rank == 0 ? "" : " on rank \(rank)")
    case .time: "--stop-before"
    case .halt(let text): Self.isOwn(text) ? text : "the file \(StopFiles.haltName)"
    }
  }

  /// Whether a rank may have written this text. Other text from the halt file is not shown to the user.
  private static func isOwn(_ text: String) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 40, text.hasPrefix("SIG") || text.hasPrefix("--") else { return false }
    return text.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
  }

  private static func name(of signal: Int32) -> String {
    switch signal {
    case SIGTERM: "SIGTERM"
    case SIGINT: "SIGINT"
    case SIGHUP: "SIGHUP"
    case SIGUSR1: "SIGUSR1"
    case SIGUSR2: "SIGUSR2"
    default: "signal \(signal)"
    }
  }
}
