import RunCore
import ArgumentParser
import FROGDist

/// The options that say when a run ends before it is done.
struct StopOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Stop so early that the run is over by then: 2026-11-21T14:00 (local time, or with a zone), @seconds since 1970, or 90s, 45m, 1h30m from now.",
      valueName: "time"))
  var stopBefore: String?

  @Option(
    help: ArgumentHelp(
      "Give up if a process gets nothing done for so long, such as 30m; longer than the longest matrix takes.",
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

  /// As they stand now.
  var limits: StopWatch.Limits {
    let now = SystemTime.now
    return StopWatch.Limits(
      end: stopBefore.map { text in
        // It was valid a moment ago; if it is over by now, so is the run.
        (try? StopTime.parse(text, now: now)).map { StopTime.lastMoment(before: $0, now: now) } ?? now
      },
      rankTimeout: rankTimeout.flatMap { Duration.seconds(of: $0) }.map(Double.init))
  }
}
