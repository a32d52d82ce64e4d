import Glibc
import ShardIO
import SystemPackage
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

  @Test("prefetching brings bytes into the page cache", arguments: SourceKind.allCases)
  func prefetch(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    guard let path = try coldFile(in: folder) else { return }
    let source = try kind.open(path)
    var scratch = ScratchBytes()
    source.prefetch(1 << 20..<2 << 20, scratch: &scratch)
    let page = sysconf(CInt(_SC_PAGESIZE))
    #expect(try cachedPages(of: path, 1 << 20..<2 << 20) == (1 << 20) / page)
  }

  @Test("a prefetcher does so on its own, the newest request first", arguments: SourceKind.allCases)
  func prefetcher(kind: SourceKind) async throws {
    let folder = try TemporaryFolder()
    guard let path = try coldFile(in: folder) else { return }
    let source = try kind.open(path)
    let prefetcher = Prefetcher()
    prefetcher.start(source, ranges: [0..<4096])
    prefetcher.start(source, ranges: [1 << 20..<2 << 20, 2 << 20..<3 << 20])
    let page = sysconf(CInt(_SC_PAGESIZE))
    for _ in 0..<1000 where try cachedPages(of: path, 1 << 20..<3 << 20) < (2 << 20) / page {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(try cachedPages(of: path, 1 << 20..<3 << 20) == (2 << 20) / page)
    prefetcher.stop()
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
      let all = try residentPages(mapped)
      #expect(all == Self.size / page)
      source.release(1 << 20..<2 << 20)
      let rest = try residentPages(mapped)
      #expect(rest == (Self.size - (1 << 20)) / page)
      #expect(memcmp(start, bytes, Self.size) == 0)
    }
  }
}
