import Glibc
import Synchronization

/// The handler that keeps the process alive when a mapped file is cut short, or its disk fails, while its bytes are
/// read.
///
/// The kernel answers a read of a page that is gone with SIGBUS, which would kill the run without a word about the
/// file. Asking for the size first does not help: a panel takes milliseconds to decode, and `cp` over a checkpoint
/// truncates it at any moment.
///
/// So the handler maps zeros where the rest of the file was, notes that in the region, and lets the reader finish.
/// ``MappedFile`` then drops the result and throws. A SIGBUS from any other address goes to the handler that was there
/// before.
enum BusErrorGuard {
  /// A stretch of addresses that is watched. The handler may look at a region at any time, so regions are never freed.
  /// Those no longer needed are used again.
  struct Region: ~Copyable {
    /// The first address; ``free`` while the region is unused.
    fileprivate let start = Atomic(Region.free)
    fileprivate let end = Atomic<UInt>(0)
    fileprivate let wasHit = Atomic(false)
    fileprivate let next: UnsafeMutablePointer<Region>?

    fileprivate init(next: UnsafeMutablePointer<Region>?) {
      self.next = next
    }

    /// The start of an unused region. No address lies at or above this one.
    fileprivate static let free = UInt.max
  }

  /// The newest region; the others follow from `next`. Unsafe access is sound, since this is atomic and a region is
  /// made of atomics.
  private nonisolated(unsafe) static let head = Atomic<UnsafeMutablePointer<Region>?>(nil)
  /// The bytes of a page, a power of two.
  static let pageSize = sysconf(CInt(_SC_PAGESIZE))
  /// Whether the handler is installed. The lock is held while a region is taken, and never by the handler.
  private static let registration = Mutex(false)
  // The handler that was there before. Unsafe access is sound: it is written once, before our handler exists, and then
  // only read.
  private nonisolated(unsafe) static let previous = UnsafeMutablePointer<sigaction>.allocate(capacity: 1)

  /// Watches the pages of a mapping until ``unwatch(_:)``.
  static func watch(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<Region> {
    let start = UInt(bitPattern: bytes.baseAddress)
    return registration.withLock { isInstalled in
      if !isInstalled { install() }
      isInstalled = true
      let region = unusedRegion()
      region.pointee.wasHit.store(false, ordering: .relaxed)
      region.pointee.end.store(start + UInt(bytes.count), ordering: .relaxed)
      region.pointee.start.store(start, ordering: .releasing)
      return region
    }
  }

  /// Stops watching a region. Call this before the mapping goes.
  static func unwatch(_ region: UnsafeMutablePointer<Region>) {
    region.pointee.start.store(Region.free, ordering: .releasing)
  }

  /// Whether some page of the region could not be read since it was watched.
  static func wasHit(_ region: UnsafeMutablePointer<Region>) -> Bool {
    region.pointee.wasHit.load(ordering: .acquiring)
  }

  private static func unusedRegion() -> UnsafeMutablePointer<Region> {
    var candidate = head.load(ordering: .acquiring)
    while let region = candidate {
      if region.pointee.start.load(ordering: .acquiring) == Region.free { return region }
      candidate = region.pointee.next
    }
    let region = UnsafeMutablePointer<Region>.allocate(capacity: 1)
    region.initialize(to: Region(next: head.load(ordering: .relaxed)))
    head.store(region, ordering: .releasing)
    return region
  }

  private static func install() {
    _ = (pageSize, head.load(ordering: .relaxed))  // Globals are initialized here, so that the handler never does it.
    previous.initialize(to: sigaction())
    var action = sigaction()
    action.__sigaction_handler.sa_sigaction = { _, info, _ in BusErrorGuard.handle(info) }
    action.sa_flags = SA_SIGINFO | SA_ONSTACK
    sigaction(SIGBUS, &action, previous)
  }

  /// Handles SIGBUS. This runs inside a signal handler, so it allocates nothing, takes no lock, and uses only atomics
  /// and system calls.
  private static func handle(_ info: UnsafeMutablePointer<siginfo_t>?) {
    let savedErrno = errno
    defer { errno = savedErrno }
    guard let info else { return }
    let address = UInt(bitPattern: info.pointee._sifields._sigfault.si_addr)
    let wasSentByKernel = info.pointee.si_code > 0
    if wasSentByKernel, replaceWithZeros(from: address) { return }
    // The fault is not in a watched region. The previous handler is put in place, and gets the same fault when this one
    // returns.
    sigaction(SIGBUS, previous, nil)
    if !wasSentByKernel { raise(SIGBUS) }
  }

  /// Maps zeros from the page of `address` to the end of its region; false if no region holds the address.
  private static func replaceWithZeros(from address: UInt) -> Bool {
    var candidate = head.load(ordering: .acquiring)
    while let region = candidate {
      candidate = region.pointee.next
      let end = region.pointee.end.load(ordering: .relaxed)
      guard address >= region.pointee.start.load(ordering: .acquiring), address < end else { continue }
      let page = address & ~UInt(bitPattern: pageSize - 1)
      let zeros = mmap(
        UnsafeMutableRawPointer(bitPattern: page), Int(end - page), PROT_READ,
        MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard zeros != MAP_FAILED else { return false }
      region.pointee.wasHit.store(true, ordering: .releasing)
      return true
    }
    return false
  }
}
