import Glibc
import ShardIO
import SystemPackage
import TestSupport
import Testing

@Suite("Reading ahead and giving back")
struct PrefetchTests {
  static let size = 3 << 20

  /// A file whose pages are not in the page cache; nil where the file system cannot do without it.
  private func coldFile(in folder: TemporaryFolder) throws -> FilePath? {
    let path = try folder.write((0..<Self.size).map { UInt8(truncatingIfNeeded: $0 &* 7) }, to: "file")
    let descriptor = try FileDescriptor.open(path, .readOnly)
    defer { try? descriptor.close() }
    fsync(descriptor.rawValue)
    _ = posix_fadvise(descriptor.rawValue, 0, 0, CInt(POSIX_FADV_DONTNEED))
    return try cachedPages(of: path, 0..<Self.size) == 0 ? path : nil
  }

  /// How many pages of a range are in the page cache: mincore(2).
  private func cachedPages(of path: FilePath, _ range: Range<Int>) throws -> Int {
    let descriptor = try FileDescriptor.open(path, .readOnly)
    defer { try? descriptor.close() }
    let size = Int(try descriptor.stat().size)
    let mapping = try #require(mmap(nil, size, PROT_READ, MAP_SHARED, descriptor.rawValue, 0))
    defer { munmap(mapping, size) }
    let page = sysconf(CInt(_SC_PAGESIZE))
    var cached = [UInt8](repeating: 0, count: (range.count + page - 1) / page)
    #expect(mincore(mapping + range.lowerBound, range.count, &cached) == 0)
    return cached.count { $0 & 1 == 1 }
  }

  /// Whether most of a range is cached; a system short of memory may drop pages at any moment.
  private func isCached(_ path: FilePath, _ range: Range<Int>) throws -> Bool {
    try cachedPages(of: path, range) * sysconf(CInt(_SC_PAGESIZE)) > range.count / 2
  }

  @Test("prefetching brings bytes into the page cache", arguments: SourceKind.allCases)
  func prefetch(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    guard let path = try coldFile(in: folder) else { return }
    let source = try kind.open(path)
    var scratch = ScratchBytes()
    source.prefetch(1 << 20..<2 << 20, scratch: &scratch)
    #expect(try isCached(path, 1 << 20..<2 << 20))
  }

  @Test("a prefetcher does so on its own, the newest request first", arguments: SourceKind.allCases)
  func prefetcher(kind: SourceKind) async throws {
    let folder = try TemporaryFolder()
    guard let path = try coldFile(in: folder) else { return }
    let source = try kind.open(path)
    let prefetcher = Prefetcher()
    prefetcher.start([(source, [0..<4096])])
    prefetcher.start([(source, [1 << 20..<2 << 20, 2 << 20..<3 << 20])])
    var attempts = 0
    while try !isCached(path, 1 << 20..<3 << 20), attempts < 1000 {
      try await Task.sleep(for: .milliseconds(10))
      attempts += 1
    }
    #expect(attempts < 1000)
    prefetcher.stop()
  }

  @Test("one range after the other, each to be waited for", arguments: SourceKind.allCases)
  func pending(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    guard let path = try coldFile(in: folder) else { return }
    let source = try kind.open(path)
    let prefetcher = Prefetcher()
    let first = prefetcher.enqueue(source, 1 << 20..<2 << 20)
    let second = prefetcher.enqueue(source, 2 << 20..<3 << 20)
    first.wait()
    #expect(try isCached(path, 1 << 20..<2 << 20))
    second.wait()
    #expect(try isCached(path, 2 << 20..<3 << 20))
  }

  @Test("advice about bytes that are not there is not taken", arguments: SourceKind.allCases)
  func outside(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 10_000), to: "file")
    let source = try kind.open(path)
    let empty = try kind.open(folder.write("", to: "empty"))
    var scratch = ScratchBytes()
    for range in [0..<0, 5..<5, 9_000..<20_000, 20_000..<30_000, -5..<5, Int.min..<Int.max] {
      for file in [source, empty] {
        file.prefetch(range, scratch: &scratch)
        file.release(range)
      }
    }
    try TemporaryFolder.truncate(path, to: 100)
    source.prefetch(0..<10_000, scratch: &scratch)
    source.release(0..<10_000)
  }

  /// Pages of a mapping that this process has in its memory: /proc/self/pagemap.
  private func residentPages(_ bytes: UnsafeRawBufferPointer) throws -> Int {
    let page = sysconf(CInt(_SC_PAGESIZE))
    let first = Int(bitPattern: bytes.baseAddress) / page
    let descriptor = try FileDescriptor.open("/proc/self/pagemap", .readOnly)
    defer { try? descriptor.close() }
    var entries = [UInt64](repeating: 0, count: (bytes.count + page - 1) / page)
    let count = try entries.withUnsafeMutableBytes {
      try descriptor.read(fromAbsoluteOffset: Int64(first * 8), into: $0)
    }
    return entries[..<(count / 8)].count { $0 >> 63 == 1 }
  }

  @Test("released pages leave the process, and come back when they are read")
  func release() throws {
    let folder = try TemporaryFolder()
    let bytes = [UInt8](repeating: 7, count: Self.size)
    let source = try MappedFile(path: folder.write(bytes, to: "file"))
    var scratch = ScratchBytes()
    let page = sysconf(CInt(_SC_PAGESIZE))
    try source.withBytes(in: 0..<Self.size, scratch: &scratch) { (mapped: UnsafeRawBufferPointer) throws in
      let start = try #require(mapped.baseAddress)
      #expect(memcmp(start, bytes, Self.size) == 0)
      #expect(try residentPages(mapped) == Self.size / page)
      source.release(1 << 20..<2 << 20)
      // With huge pages, neighbours go too.
      let released = UnsafeRawBufferPointer(rebasing: mapped[1 << 20..<2 << 20])
      #expect(try residentPages(released) == 0)
      #expect(memcmp(start, bytes, Self.size) == 0)
    }
  }
}
