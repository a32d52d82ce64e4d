import Glibc
import ShardIO
import SystemPackage
import TestSupport
import Testing

@Suite("Byte sources")
struct ByteSourceTests {
  @Test("any range arrives, also an empty one", arguments: SourceKind.allCases)
  func ranges(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let source = try kind.open(folder.write(bytes, to: "file"))
    var scratch = ScratchBytes()
    #expect(source.size == bytes.count)
    for range in [0..<10_000, 1..<2, 4095..<4097, 9_999..<10_000, 5..<5, 0..<0, 10_000..<10_000] {
      #expect(try source.withBytes(in: range, scratch: &scratch) { [UInt8]($0) } == Array(bytes[range]))
    }
  }

  @Test("an empty file", arguments: SourceKind.allCases)
  func empty(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let source = try kind.open(folder.write("", to: "file"))
    var scratch = ScratchBytes()
    #expect(source.size == 0)
    #expect(try source.withBytes(in: 0..<0, scratch: &scratch) { $0.count } == 0)
  }

  @Test("what cannot be opened", arguments: SourceKind.allCases)
  func unopenable(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    try folder.makeLink("loop", to: "loop")
    #expect(throws: SourceError.cannotOpen(folder.path.appending("none"), .noSuchFileOrDirectory)) {
      try kind.open(folder.path.appending("none"))
    }
    #expect(throws: SourceError.cannotOpen(folder.path.appending("loop"), .tooManySymbolicLinkLevels)) {
      try kind.open(folder.path.appending("loop"))
    }
    #expect(throws: SourceError.notAFile(folder.path)) { try kind.open(folder.path) }
    #expect(throws: SourceError.notAFile("/dev/null")) { try kind.open("/dev/null") }
  }

  @Test("a pipe is refused, not waited for", .timeLimit(.minutes(1)), arguments: SourceKind.allCases)
  func pipe(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("pipe")
    #expect(mkfifo(path.string, 0o600) == 0)
    #expect(throws: SourceError.notAFile(path)) { try kind.open(path) }
  }

  @Test(
    "a file nobody may read", .enabled(if: geteuid() != 0, "root may read everything"), arguments: SourceKind.allCases)
  func unreadable(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("x", to: "file")
    #expect(chmod(path.string, 0) == 0)
    let error = #expect(throws: SourceError.cannotOpen(path, .permissionDenied)) { try kind.open(path) }
    #expect(error?.kind == .noInput)
  }

  @Test("a file cut short before a read", arguments: SourceKind.allCases)
  func cutBefore(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 100_000), to: "file")
    let source = try kind.open(path)
    var scratch = ScratchBytes()
    try TemporaryFolder.truncate(path, to: 50_000)
    let error = #expect(throws: SourceError.sizeChanged(path, from: 100_000, to: 50_000)) {
      try source.withBytes(in: 40_000..<60_000, scratch: &scratch) { $0.reduce(0) { $0 + Int($1) } }
    }
    #expect(error?.kind == .io)
  }

  @Test("a file written to, its size as before", arguments: SourceKind.allCases)
  func rewritten(kind: SourceKind) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 100_000), to: "file")
    try TemporaryFolder.setModified(path, seconds: 1_000_000)
    let source = try kind.open(path)
    var scratch = ScratchBytes()
    #expect(try source.withBytes(in: 0..<100, scratch: &scratch) { $0[0] } == 7)
    let descriptor = try FileDescriptor.open(path, .writeOnly)
    _ = try descriptor.closeAfter { try descriptor.writeAll([8]) }
    let error = #expect(throws: SourceError.rewritten(path)) {
      try source.withBytes(in: 50_000..<50_100, scratch: &scratch) { $0[0] }
    }
    #expect(error?.kind == .io)
  }

  @Test("a mapped file cut short while its bytes are read ends in an error, not SIGBUS")
  func cutDuring() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 100_000), to: "file")
    try TemporaryFolder.setModified(path, seconds: 1_000_000)
    let other = try MappedFile(path: folder.write(Array(repeating: 9, count: 100_000), to: "other"))
    let source = try MappedFile(path: path)
    var scratch = ScratchBytes()
    #expect(throws: SourceError.sizeChanged(path, from: 100_000, to: 0)) {
      try source.withBytes(in: 0..<100_000, scratch: &scratch) { bytes in
        let first = Int(bytes[0])
        try TemporaryFolder.truncate(path, to: 0)
        return bytes.reduce(first) { $0 + Int($1) }
      }
    }
    // Bytes once lost are not trusted again, even when the size and the time of the last write are back.
    try TemporaryFolder.truncate(path, to: 100_000)
    try TemporaryFolder.setModified(path, seconds: 1_000_000)
    #expect(throws: SourceError.cannotRead(path, offset: 0, .ioError)) {
      try source.withBytes(in: 0..<1, scratch: &scratch) { $0[0] }
    }
    #expect(try other.withBytes(in: 0..<100_000, scratch: &scratch) { $0.allSatisfy { $0 == 9 } })
  }

  @Test("what is left of a mapped file stays readable, and so does its neighbour in memory")
  func cutInTheMiddle() throws {
    let folder = try TemporaryFolder()
    let (kept, size) = (1 << 17, 1 << 18)  // whole pages, of any size in use
    let path = try folder.write(Array(repeating: 7, count: size), to: "file")
    let source = try MappedFile(path: path)
    var scratch = ScratchBytes()
    #expect(throws: SourceError.sizeChanged(path, from: size, to: kept)) {
      try source.withBytes(in: 0..<size, scratch: &scratch) { bytes in
        #expect(bytes[kept - 1] == 7)
        try TemporaryFolder.truncate(path, to: kept)
        #expect(bytes[kept] == 0)
        #expect(bytes[..<kept].allSatisfy { $0 == 7 })
      }
    }
  }

  @Test("an error of the reader does not hide that the file was cut short")
  func cutBehindAnError() throws {
    struct Nonsense: Error {}
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 100_000), to: "file")
    let source = try MappedFile(path: path)
    var scratch = ScratchBytes()
    #expect(throws: Nonsense.self) { try source.withBytes(in: 0..<1, scratch: &scratch) { _ in throw Nonsense() } }
    try TemporaryFolder.truncate(path, to: 1)
    #expect(throws: SourceError.sizeChanged(path, from: 100_000, to: 1)) {
      try source.withBytes(in: 0..<1, scratch: &scratch) { _ in throw Nonsense() }
    }
  }

  @Test("a SIGBUS at any other address still ends the process")
  func foreignBusError() async throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 100_000), to: "file").string
    await #expect(processExitsWith: .signal(SIGBUS)) { [path = path as String] in
      let watched = try MappedFile(path: FilePath(path))
      let descriptor = try FileDescriptor.open(path, .readOnly)
      let foreign = mmap(nil, 100_000, PROT_READ, MAP_PRIVATE, descriptor.rawValue, 0)
      try TemporaryFolder.truncate(FilePath(path), to: 0)
      let lost = foreign?.load(fromByteOffset: 50_000, as: UInt8.self)
      exit(CInt(lost ?? 0) + CInt(watched.size & 1))
    }
  }

  @Test("a SIGBUS sent by hand still ends the process")
  func sentBusError() async throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("x", to: "file").string
    await #expect(processExitsWith: .signal(SIGBUS)) { [path = path as String] in
      let watched = try MappedFile(path: FilePath(path))
      raise(SIGBUS)
      exit(CInt(watched.size & 1))
    }
  }

  @Test("mappings come and go on many threads")
  func reuse() async throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 5_000), to: "file")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var scratch = ScratchBytes()
          for _ in 0..<200 {
            let source = try MappedFile(path: path)
            #expect(try source.withBytes(in: 4_999..<5_000, scratch: &scratch) { $0[0] } == 7)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("errors say what to do")
  func messages() {
    #expect("\(SourceError.cannotMap("/x", .noMemory))".hasSuffix("(try --io pread)"))
    #expect(
      "\(SourceError.cannotOpen("a\nb", .noSuchFileOrDirectory))" == "cannot open 'a\\u{a}b': No such file or directory"
    )
    #expect(SourceError.cannotOpen("x", .noSuchFileOrDirectory).kind == .noInput)
    #expect(SourceError.cannotOpen("x", .tooManyOpenFiles).kind == .io)
    #expect(SourceError.cannotRead("x", offset: 0, .ioError).kind == .io)
  }
}
