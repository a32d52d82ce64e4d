import ArgumentParser
import RunCore

/// The options that say when a run ends before it is done.
struct StopOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The time by which the run is to be over; it stops early enough for that. It is a date such as 2026-11-21T14:00 (local time, or \
      with a time zone), @seconds since 1970, or a duration from now such as 90s, 45m or 1h30m. (default: none)
      """,
      valueName: "time"))
  var stopBefore: String?

  @Option(
    help: ArgumentHelp(
      """
      The duration after which the run gives up if a process gets nothing done, such as 30m. It must be longer than the longest matrix \
      takes. (default: none)
      """,
      valueName: "duration"))
  var rankTimeout: String?

  func validate() throws {
    if let stopBefore {
      do { _ = try StopTime.parse(stopBefore, now: SystemTime.now) } catch {
        throw ValidationError("--stop-before: \(error)")
      }
    }
    if let rankTimeout, Duration.seconds(of: rankTimeout) == nil {
      throw ValidationError("--rank-timeout must be a duration such as 90s, 30m or 1h30m; found '\(rankTimeout)'")
    }
  }

  /// The limits at this moment, since times may count from now.
  var limits: StopWatch.Limits {
    let now = SystemTime.now
    return StopWatch.Limits(
      end: stopBefore.map { text in
        // The text was valid a moment ago. If its time is over by now, so is the run.
        (try? StopTime.parse(text, now: now)).map { StopTime.lastMoment(before: $0, now: now) } ?? now
      },
      rankTimeout: rankTimeout.flatMap { Duration.seconds(of: $0) }.map(Double.init))
  }
}
