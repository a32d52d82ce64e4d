import Dispatch
import Synchronization

/// A thread that reads bytes which will be needed next into the page cache, while the caller computes.
///
/// The thread mostly waits for the disk. It takes little time for bytes that are cached already.
package final class Prefetcher: Sendable {
  private let queue = DispatchQueue(label: "prefetch", qos: .utility)
  /// The number of the newest request of ``start(_:)``. Older requests stop.
  private let request = Atomic(0)
  /// The bytes that are read between two looks at ``request``.
  private static let step = 8 << 20

  package init() {}

  deinit { stop() }

  /// Begins to read ranges of files in their order, instead of those of an earlier call. Returns at once.
  package func start(_ parts: [(source: any ByteSource, ranges: [Range<Int>])]) {
    let number = request.add(1, ordering: .relaxed).newValue
    // The queue does not keep the prefetcher alive, so a request ends with it.
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

  /// Ends the request of ``start(_:)`` that is under way, within one step.
  package func stop() {
    request.add(1, ordering: .relaxed)
  }

  /// A range that ``enqueue(_:_:)`` has begun to read.
  package struct Pending {
    fileprivate let work: DispatchWorkItem

    /// Returns when the range has been read, or could not be read.
    package func wait() { work.wait() }
  }

  /// Begins to read a range, after all ranges that were asked for before. Returns at once.
  package func enqueue(_ source: any ByteSource, _ range: Range<Int>) -> Pending {
    let work = DispatchWorkItem {
      var scratch = ScratchBytes()
      source.prefetch(range, scratch: &scratch)
    }
    queue.async(execute: work)
    return Pending(work: work)
  }
}
