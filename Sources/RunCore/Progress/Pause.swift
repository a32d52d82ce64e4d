#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Short sleeps between looks at something that another process does: 0.05 ms at first, then longer, up to 2 ms.
///
/// So little time is lost when it has happened, and a waiting rank takes a hundredth of its core.
struct Pause {
  private var microseconds: UInt32 = 50

  mutating func wait() {
    usleep(microseconds)
    microseconds = min(2 * microseconds, 2000)
  }
}
