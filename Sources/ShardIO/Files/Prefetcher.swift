import Dispatch
import Synchronization

/// Reads what will be needed next into the page cache, on a thread of its own, while the caller computes.
///
/// The thread waits for the disk most of the time; of what is cached already it looks at little.
public final class Prefetcher: Sendable {
  private let queue = DispatchQueue(label: "prefetch", qos: .utility)
  /// Counts the requests of ``start(_:)``: one that is not the newest stops.
  private let request = Atomic(0)
  /// Bytes between two looks at the count.
  private static let step = 8 << 20

  /// Has nothing to do yet.
  public init() {}

  deinit { stop() }

  /// Reads ranges of files, in their order, instead of what an earlier call asked for. Returns at once.
  public func start(_ parts: [(source: any ByteSource, ranges: [Range<Int>])]) {
    let number = request.add(1, ordering: .relaxed).newValue
    // The queue keeps no owner alive: what is left of a request goes with the prefetcher.
    queue.async { [weak self] in
      var scratch = ScratchBytes()
      for (source, ranges) in parts {
        for range in ranges {
          for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.step) {
            guard let self, self.request.load(ordering: .relaxed) == number else { return }
            source.prefetch(start..<min(range.upperBound, start + Self.step), scratch: &scratch)
          }
        }
      }
    }
  }

  /// Ends what ``start(_:)`` has under way, within one step.
  public func stop() {
    request.add(1, ordering: .relaxed)
  }

  /// A range that is being read.
  public struct Pending {
    fileprivate let work: DispatchWorkItem

    /// Returns when it has been read, or could not be.
    public func wait() { work.wait() }
  }

  /// Reads a range after all others that were asked for. Returns at once.
  public func enqueue(_ source: any ByteSource, _ range: Range<Int>) -> Pending {
    let work = DispatchWorkItem {
      var scratch = ScratchBytes()
      source.prefetch(range, scratch: &scratch)
    }
    queue.async(execute: work)
    return Pending(work: work)
  }
}
