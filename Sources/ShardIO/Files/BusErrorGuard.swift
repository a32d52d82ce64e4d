import Glibc
import Synchronization

/// Keeps the process alive when a mapped file is cut short, or its disk fails, while its bytes are read.
///
/// The kernel answers a read of a page that is gone with SIGBUS, which would kill the run without a word
/// about the file. Asking for the size first does not help: a panel takes milliseconds to decode, and
/// `cp` over a checkpoint truncates it at any moment. So a handler puts zeros where the rest of the file
/// was, notes that in the region, and lets the reader finish; ``MappedFile`` then drops the result and
/// throws. A SIGBUS from any other address goes where it went before.
enum BusErrorGuard {
  /// Address space that is being watched. The handler may be looking at a region at any time, so regions
  /// are never freed; those no longer needed are used again.
  struct Region: ~Copyable {
    /// The first address; ``free`` while the region is unused.
    fileprivate let start = Atomic(Region.free)
    fileprivate let end = Atomic<UInt>(0)
    fileprivate let wasHit = Atomic(false)
    fileprivate let next: UnsafeMutablePointer<Region>?

    fileprivate init(next: UnsafeMutablePointer<Region>?) {
      self.next = next
    }

    /// No address lies at or above this one.
    fileprivate static let free = UInt.max
  }

  /// The newest region; the others follow from `next`. Atomic, and what it points to is all atomics.
  private nonisolated(unsafe) static let head = Atomic<UnsafeMutablePointer<Region>?>(nil)
  /// Bytes of a page; a power of two.
  static let pageSize = sysconf(CInt(_SC_PAGESIZE))
  /// Held to take a region, never by the handler.
  private static let registration = Mutex(false)
  // Written once, before the handler exists; then only read.
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

  /// Stops watching; call it before the mapping goes.
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
    _ = (pageSize, head.load(ordering: .relaxed))  // so that no global is initialized inside the handler
    previous.initialize(to: sigaction())
    var action = sigaction()
    action.__sigaction_handler.sa_sigaction = { _, info, _ in BusErrorGuard.handle(info) }
    action.sa_flags = SA_SIGINFO | SA_ONSTACK
    sigaction(SIGBUS, &action, previous)
  }

  /// Runs inside the signal handler: no allocation, no locks, only atomics and system calls.
  private static func handle(_ info: UnsafeMutablePointer<siginfo_t>?) {
    let savedErrno = errno
    defer { errno = savedErrno }
    guard let info else { return }
    let address = UInt(bitPattern: info.pointee._sifields._sigfault.si_addr)
    let wasSentByKernel = info.pointee.si_code > 0
    if wasSentByKernel, replaceWithZeros(from: address) { return }
    // Not ours. Going back runs into the same fault again, with the previous handler in place.
    sigaction(SIGBUS, previous, nil)
    if !wasSentByKernel { raise(SIGBUS) }
  }

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
