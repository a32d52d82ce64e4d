#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Short sleeps between looks at something that another process does: 0.05 ms at first, then longer, up to 10 ms.
struct Pause {
  private var microseconds: UInt32 = 50

  mutating func wait() {
    usleep(microseconds)
    microseconds = min(2 * microseconds, 10_000)
  }
}
