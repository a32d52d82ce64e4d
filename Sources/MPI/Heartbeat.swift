import Synchronization

/// Counts what this process gets done, so that another thread can tell waiting from working.
///
/// Every finished MPI call counts, and whatever else calls ``beat()``.
public enum Heartbeat {
  private static let beats = Atomic<UInt64>(0)

  /// How often something was done so far.
  public static var count: UInt64 { beats.load(ordering: .relaxed) }

  /// Notes that something was done: a nanosecond, from any thread.
  public static func beat() { beats.wrappingAdd(1, ordering: .relaxed) }
}
