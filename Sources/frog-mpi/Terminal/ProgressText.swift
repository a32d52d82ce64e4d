import RunCore

/// The words that say how far a run is.
enum ProgressText {
  /// One line, for files:
  ///
  ///     scores 45%, 120 of 291 matrices, about 15:20 left, 1.2 GB a process, slowest: rank 3 at 41% (model.layers.12.mlp.up_proj.weight)
  static func line(_ progress: ProgressSnapshot, at now: ContinuousClock.Instant) -> String {
    guard progress.isMeasured else { return "\(progress.phase), \(elapsed(progress, now)) so far" }
    var parts = ["\(progress.phase) \(percent(progress.done))"]
    parts += numbers(progress)
    if let left = left(progress, now) { parts.insert(left, at: min(2, parts.count)) }
    if let slowest = progress.slowest {
      let matrix = slowest.matrix.map(plain)
      parts.append(
        progress.ranks > 1
          ? "slowest: rank \(slowest.rank) at \(percent(slowest.done))" + (matrix.map { " (\($0))" } ?? "")
          : matrix.map { "at \($0)" } ?? "")
    }
    return parts.filter { !$0.isEmpty }.joined(separator: ", ")
  }

  /// The lines of the block on a screen, none of which is longer than `width` characters:
  ///
  ///     scores  45%  [###########..............]  about 15:20 left, 12:34 so far
  ///     120 of 291 matrices, 1.2 GB a process
  ///     slowest: rank 3 at 41%, model.layers.12.mlp.up_proj.weight
  static func block(_ progress: ProgressSnapshot, at now: ContinuousClock.Instant, width: Int) -> [String] {
    let soFar = "\(elapsed(progress, now)) so far"
    guard progress.isMeasured else { return [fitted("\(progress.phase)  \(soFar)", width)] }
    // 1. How far the stage is.
    let head = "\(progress.phase)  \(percent(progress.done))"
    var times = [left(progress, now), soFar].compactMap { $0 }.joined(separator: ", ")
    if head.count + 2 + times.count > width { times = left(progress, now) ?? soFar }
    let room = min(40, width - head.count - times.count - 6)
    let bar = room < 5 ? "" : "[\(Self.bar(progress.done, room))]  "
    var lines = ["\(head)  \(bar)\(times)"]
    // 2. Numbers.
    let numbers = numbers(progress).joined(separator: ", ")
    if !numbers.isEmpty { lines.append(numbers) }
    // 3. The slowest rank. The end of a matrix's name tells more than its beginning.
    if let slowest = progress.slowest {
      let rank = progress.ranks > 1 ? "slowest: rank \(slowest.rank) at \(percent(slowest.done))" : ""
      let name = slowest.matrix.map { fittedEnd(plain($0), width - (rank.isEmpty ? 3 : rank.count + 2)) }
      let parts = [rank, name.map { rank.isEmpty ? "at \($0)" : $0 } ?? ""].filter { !$0.isEmpty }
      if !parts.isEmpty { lines.append(parts.joined(separator: ", ")) }
    }
    return lines.map { fitted($0, width) }
  }

  // MARK: Parts

  private static func percent(_ share: Double) -> String {
    // 100% is only said of what is done.
    "\(share < 1 ? min(99, Int(100 * share)) : 100)%"
  }

  private static func elapsed(_ progress: ProgressSnapshot, _ now: ContinuousClock.Instant) -> String {
    Terminal.duration((now - progress.begin).seconds)
  }

  private static func left(_ progress: ProgressSnapshot, _ now: ContinuousClock.Instant) -> String? {
    guard progress.done < 1, let left = progress.secondsLeft(at: now) else { return nil }
    return "about \(left < 100 ? "\(Int(left.rounded(.up))) s" : Terminal.duration(left)) left"
  }

  private static func numbers(_ progress: ProgressSnapshot) -> [String] {
    var parts: [String] = []
    if let matrices = progress.matrices {
      parts.append("\(Terminal.grouped(matrices.done)) of \(Terminal.grouped(matrices.of)) matrices")
    }
    if progress.bytes > 0 { parts.append("\(Terminal.bytes(progress.bytes)) a process") }
    return parts
  }

  private static func bar(_ share: Double, _ width: Int) -> String {
    let done = Int(Double(width) * share)
    return String(repeating: "#", count: done) + String(repeating: ".", count: width - done)
  }

  /// A name from a checkpoint in ASCII, so that every character takes one column.
  private static func plain(_ name: String) -> String {
    Terminal.printable(name).unicodeScalars.map { scalar in
      scalar.isASCII ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
    }.joined()
  }

  /// A text that is cut at its end if it is too long.
  private static func fitted(_ text: String, _ width: Int) -> String {
    text.count <= width ? text : text.prefix(max(0, width - 1)) + (width > 0 ? "…" : "")
  }

  /// A text that is cut at its beginning if it is too long.
  private static func fittedEnd(_ text: String, _ width: Int) -> String {
    text.count <= width ? text : (width > 0 ? "…" : "") + text.suffix(max(0, width - 1))
  }
}
