import Logging

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The program's log on standard error: warnings always, and more with `FROG_MPI_LOG=debug`.
enum Diagnostics {
  /// Makes the logger of this process. Call it once.
  static func logger() -> Logger {
    let level = getenv("FROG_MPI_LOG").flatMap { Logger.Level(rawValue: String(cString: $0)) } ?? .warning
    var logger = Logger(label: "frog-mpi") { _ in ErrorLogHandler() }
    logger.logLevel = level
    return logger
  }
}

/// Writes messages like those of errors.
private struct ErrorLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .warning

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    ErrorLog.say(event.level, "\(event.message)")
  }
}
