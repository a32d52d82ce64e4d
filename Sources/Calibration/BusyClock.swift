#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Seconds that work takes on a machine of one's own.
struct BusyClock {
  /// Whether all work is done by the calling thread.
  let isSingleThreaded: Bool

  /// Seconds since some moment: of processor time where one thread does the work, so that what else runs on the machine does not
  /// count, and of wall time otherwise.
  var now: Double {
    var time = timespec()
    clock_gettime(isSingleThreaded ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
