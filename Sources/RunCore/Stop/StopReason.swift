#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Why a run is to stop.
enum StopReason: Equatable, Sendable {
  /// This process got a signal.
  case signal(Int32, rank: Int)
  /// ``StopWatch/Limits/end`` is near.
  case time
  /// Somebody put the halt file there; what it says, if a rank of this run wrote it.
  case halt(String)

  /// A few words, as they stand in a message and in the halt file.
  var description: String {
    switch self {
    case .signal(let number, let rank): Self.name(of: number) + (rank == 0 ? "" : " on rank \(rank)")
    case .time: "--stop-before"
    case .halt(let text): Self.isOwn(text) ? text : "the file \(StopFiles.haltName)"
    }
  }

  /// Whether a rank may have written it: other text from a file is not shown.
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
