#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A clock that measures work as if the machine did nothing else, as far as that can be told.
struct BusyClock {
  /// Whether all work is done by the calling thread.
  let isSingleThreaded: Bool

  /// Seconds since a fixed moment.
  ///
  /// They are seconds of processor time if one thread does the work, so that other programs on the machine do not count. Otherwise they are
  /// seconds of wall time.
  var now: Double {
    var time = timespec()
    clock_gettime(isSingleThreaded ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
