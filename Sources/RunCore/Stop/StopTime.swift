#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A text on the command line that is no time, or a time that cannot be used.
package enum StopTimeError: Error, Equatable, CustomStringConvertible {
  /// The text has none of the forms of a time.
  case malformed(String)
  /// The time is over already.
  case past(String)

  /// A message that says what was found and what is expected.
  package var description: String {
    switch self {
    case .malformed(let text):
      "found '\(text)'; write 2026-11-21T14:00, with seconds and zone (Z, +01:00) if need be, @seconds since 1970, or a time from now "
        + "such as 90s, 45m, 1h30m"
    case .past(let text): "\(text) is over"
    }
  }
}

/// Reads the time when a run must be over, as it is written on the command line.
package enum StopTime {
  /// The time that `text` means, in seconds since 1970.
  ///
  /// - Parameters:
  ///   - text: ISO 8601, in local time if it has no zone (`2026-11-21T14:00`, `2026-11-21 14:00:30+01:00`); `@1795269600`; or a
  ///     duration from now.
  ///   - now: the time now, in seconds since 1970.
  /// - Throws: ``StopTimeError``, also for a time that is over.
  package static func parse(_ text: String, now: Double) throws(StopTimeError) -> Double {
    let time: Double?
    if text.hasPrefix("@") {
      time = digits(text.dropFirst(), count: 1...12).map(Double.init)
    } else {
      time = Duration.seconds(of: text).map { now + Double($0) } ?? calendarTime(text)
    }
    guard let time else { throw .malformed(text) }
    guard time > now else { throw .past(text) }
    return time
  }

  /// The time to begin stopping so that the run is over at `time`: 15 s before it, or halfway from now if less than 30 s are left.
  ///
  /// All times are in seconds since 1970.
  package static func lastMoment(before time: Double, now: Double) -> Double {
    time - min(15, max(0, time - now) / 2)
  }

  /// Reads `YYYY-MM-DD`, `T` or a space, `HH:MM` or `HH:MM:SS`, and a zone or none; nil for anything else.
  ///
  /// - Returns: seconds since 1970.
  private static func calendarTime(_ text: String) -> Double? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 16, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54 || bytes[10] == 0x20,
      let year = number(bytes, 0..<4), let month = number(bytes, 5..<7), let day = number(bytes, 8..<10),
      let (hour, minute) = clock(bytes[11..<16]), (1970...9999).contains(year), (1...12).contains(month),
      (1...daysOf(month, year)).contains(day)
    else { return nil }
    var second = 0
    var zone = bytes[16...]
    if zone.first == 0x3A {
      guard zone.count >= 3, let found = number(bytes, 17..<19), found < 60 else { return nil }
      second = found
      zone = bytes[19...]
    }
    var fields = tm()
    (fields.tm_year, fields.tm_mon, fields.tm_mday) = (Int32(year - 1900), Int32(month - 1), Int32(day))
    (fields.tm_hour, fields.tm_min, fields.tm_sec) = (Int32(hour), Int32(minute), Int32(second))
    if zone.isEmpty {
      fields.tm_isdst = -1
      return Double(mktime(&fields))
    }
    guard let offset = zoneOffset(zone) else { return nil }
    return Double(timegm(&fields) - offset)
  }

  /// The seconds that a zone such as `Z`, `+01`, `+0100` or `+01:00` is ahead of UTC; nil if it is no zone.
  private static func zoneOffset(_ zone: ArraySlice<UInt8>) -> Int? {
    if zone.elementsEqual([0x5A]) { return 0 }
    guard let sign = zone.first, sign == 0x2B || sign == 0x2D else { return nil }
    var text = Array(zone.dropFirst())
    if text.count == 2 { text += [0x3A, 0x30, 0x30] }
    if text.count == 4 { text.insert(0x3A, at: 2) }
    guard let (hours, minutes) = clock(text[...]) else { return nil }
    return (sign == 0x2B ? 1 : -1) * (hours * 3600 + minutes * 60)
  }

  /// Reads `HH:MM`; nil for anything else.
  private static func clock(_ text: ArraySlice<UInt8>) -> (hour: Int, minute: Int)? {
    let bytes = Array(text)
    guard bytes.count == 5, bytes[2] == 0x3A, let hour = number(bytes, 0..<2), let minute = number(bytes, 3..<5),
      hour < 24, minute < 60
    else { return nil }
    return (hour, minute)
  }

  private static func number(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
    digits(Substring(decoding: bytes[range], as: UTF8.self), count: 1...4)
  }

  private static func daysOf(_ month: Int, _ year: Int) -> Int {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  /// Reads a number of so many digits and nothing else. Int's own parser would take signs too.
  static func digits(_ text: Substring, count: ClosedRange<Int>) -> Int? {
    guard count.contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}

extension Duration {
  /// The whole seconds of a duration such as `90s`, `45m`, `1h30m` or `2d`; nil if it is no duration, is 0 or is above ten years.
  package static func seconds(of text: String) -> Int? {
    var units: [(name: Character, seconds: Int)] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    var total = 0
    var rest = text[...]
    while !rest.isEmpty {
      // Each unit may stand once, and longer ones come first.
      guard let end = rest.firstIndex(where: { !$0.isNumber }),
        let count = StopTime.digits(rest[..<end], count: 1...9),
        let unit = units.firstIndex(where: { $0.name == rest[end] })
      else { return nil }
      total += count * units[unit].seconds
      units.removeFirst(unit + 1)
      rest = rest[rest.index(after: end)...]
    }
    return (1...3650 * 86400).contains(total) ? total : nil
  }
}
