import Synchronization

/// A count of the pieces of work that this process finishes, by which another thread can tell working from waiting.
///
/// Every finished MPI call counts, and every call of ``beat()``.
package enum Heartbeat {
  private static let beats = Atomic<UInt64>(0)

  /// The number of beats so far.
  package static var count: UInt64 { beats.load(ordering: .relaxed) }

  /// Counts one piece of work. It takes a nanosecond, and may be called from any thread.
  package static func beat() { beats.wrappingAdd(1, ordering: .relaxed) }
}
