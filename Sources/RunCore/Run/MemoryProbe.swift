import Dispatch
import FoundationEssentials
import Synchronization

/// Watches how much anonymous memory this process holds: the memory it has allocated, without mapped pages of files.
///
/// The kernel keeps no peak of that, so it is sampled every 20 ms. Buffers that live shorter than the interval can be missed.
final class MemoryProbe {
  private let peak = Peak()
  private let timer: any DispatchSourceTimer

  init() {
    timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
    timer.setEventHandler { [peak] in peak.sample() }
    timer.schedule(deadline: .now(), repeating: .milliseconds(20))
    timer.resume()
  }

  deinit { timer.cancel() }

  /// The largest amount so far in bytes, of all samples and now; 0 where the system does not tell.
  var peakBytes: Int { peak.sample() }

  /// The largest amount so far in bytes, of the samples that have been taken. It costs nothing.
  var sampledPeakBytes: Int { peak.largest }
}

/// The largest sample so far, shared with the timer's thread.
private final class Peak: Sendable {
  private let bytes = Mutex(0)

  @discardableResult
  func sample() -> Int {
    let now = Self.anonymousBytes()
    return bytes.withLock { peak in
      peak = max(peak, now)
      return peak
    }
  }

  var largest: Int { bytes.withLock { $0 } }

  private static func anonymousBytes() -> Int {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
      let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
    else { return 0 }
    return kibibytes * 1024
  }
}
