import FoundationEssentials
import Logging
import RunCore

/// The lines of `--log-format json`: each is an object, and ends with a newline.
enum LogObject {
  /// A message of the program.
  static func message(_ level: Logger.Level, _ message: String) -> String {
    line(Message(time: time(), level: level.rawValue, message: message))
  }

  /// How far the run is at `now`.
  static func progress(_ progress: ProgressSnapshot, at now: ContinuousClock.Instant) -> String {
    line(Progress(time: time(), progress: progress, secondsLeft: progress.secondsLeft(at: now)))
  }

  private struct Message: Encodable {
    let time: String
    let level: String
    let message: String
  }

  private struct Progress: Encodable {
    let time: String
    let progress: ProgressSnapshot
    let secondsLeft: Double?

    private enum CodingKeys: String, CodingKey {
      case time, phase, done, matrices, rss, slowest
      case secondsLeft = "eta_s"
    }

    private enum MatrixKeys: String, CodingKey { case done, of }
    private enum SlowestKeys: String, CodingKey { case rank, done, matrix }

    /// Every key is there in every line. What is not known is null.
    func encode(to encoder: any Encoder) throws {
      var object = encoder.container(keyedBy: CodingKeys.self)
      try object.encode(time, forKey: .time)
      try object.encode(progress.phase, forKey: .phase)
      try object.encode(rounded(progress.done, 1e6), forKey: .done)
      try object.encode(secondsLeft.map { rounded($0, 10) }, forKey: .secondsLeft)
      try object.encode(progress.bytes > 0 ? progress.bytes : nil, forKey: .rss)
      if let matrices = progress.matrices {
        var nested = object.nestedContainer(keyedBy: MatrixKeys.self, forKey: .matrices)
        try nested.encode(matrices.done, forKey: .done)
        try nested.encode(matrices.of, forKey: .of)
      } else {
        try object.encodeNil(forKey: .matrices)
      }
      if let slowest = progress.slowest {
        var nested = object.nestedContainer(keyedBy: SlowestKeys.self, forKey: .slowest)
        try nested.encode(slowest.rank, forKey: .rank)
        try nested.encode(rounded(slowest.done, 1e6), forKey: .done)
        try nested.encode(slowest.matrix, forKey: .matrix)
      } else {
        try object.encodeNil(forKey: .slowest)
      }
    }

    private func rounded(_ value: Double, _ scale: Double) -> Double { (value * scale).rounded() / scale }
  }

  /// The time of day in UTC: `2026-11-21T14:00:00.123Z`.
  private static func time() -> String { Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }

  private static func line(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings, whole numbers and finite numbers can always be encoded.
    guard let data = try? encoder.encode(value) else { return "{}\n" }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}
