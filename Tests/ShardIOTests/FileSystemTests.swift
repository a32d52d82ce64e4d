import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ShardIO

/// How `--io auto` decides.
@Suite("Ways of reading, by file system")
struct FileSystemTests {
  /// As statfs(2) and the file systems' own headers have them.
  @Test(
    "remote file systems are read, not mapped",
    arguments: [
      ("NFS", 0x6969), ("Lustre", 0x0BD0_0BD0), ("FUSE", 0x6573_5546), ("SMB2", 0xFE53_4D42), ("CIFS", 0xFF53_4D42),
      ("9p", 0x0102_1997), ("Ceph", 0x00C3_6400), ("GPFS", 0x4750_4653), ("BeeGFS", 0x1983_0326), ("AFS", 0x5346_414F),
      ("kAFS", 0x6B41_4653), ("PanFS", 0xAAD7_AAEA), ("OrangeFS", 0x2003_0528),
    ])
  func remote(name: String, magic: UInt32) {
    #expect(FileSystemType(rawValue: magic).bestKind == .pread, "\(name)")
  }

  @Test(
    "all others are mapped",
    arguments: [
      ("ext4", 0xEF53), ("XFS", 0x5846_5342), ("Btrfs", 0x9123_683E), ("tmpfs", 0x0102_1994),
      ("overlay", 0x794C_7630), ("ZFS", 0x2FC1_2FC1), ("unknown", 0),
    ])
  func local(name: String, magic: UInt32) {
    #expect(FileSystemType(rawValue: magic).bestKind == .mmap, "\(name)")
  }

  @Test("the system is asked about the file that is open")
  func asked() throws {
    // procfs is where Linux says it is.
    #expect(try InputDescriptor(path: "/proc/self/status").fileSystem.rawValue == 0x9FA0)
    let folder = try TemporaryFolder()
    let path = try folder.write("x", to: "file")
    let kind = try InputDescriptor(path: path).fileSystem.bestKind
    #expect(try SourceKind.auto.open(path).copiesBytes == (kind == .pread))
  }

  /// sysfs has regular files that cannot be mapped.
  private static let unmappable: FilePath = "/sys/kernel/uevent_seqnum"

  @Test(
    "a file that cannot be mapped is read instead",
    .enabled(if: access(unmappable.string, R_OK) == 0, "needs \(unmappable)"))
  func noDevice() throws {
    #expect(throws: SourceError.cannotMap(Self.unmappable, .operationNotSupportedByDevice)) {
      try SourceKind.mmap.open(Self.unmappable)
    }
    #expect(try SourceKind.auto.open(Self.unmappable) is PreadFile)
  }

  @Test("a file for which there is no address space is read instead")
  func noAddressSpace() async throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("x", to: "file")
    try TemporaryFolder.truncate(path, to: 1 << 41)  // all hole
    await #expect(processExitsWith: .success) { [name = path.string as String] in
      var limit = rlimit(rlim_cur: 1 << 40, rlim_max: 1 << 40)
      setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
      let path = FilePath(name)
      #expect(throws: SourceError.cannotMap(path, .noMemory)) { try SourceKind.mmap.open(path) }
      let source = try SourceKind.auto.open(path)
      #expect(source is PreadFile)
      var scratch = ScratchBytes()
      #expect(try source.withBytes(in: 0..<2, scratch: &scratch) { [UInt8]($0) } == [0x78, 0])
    }
  }
}
