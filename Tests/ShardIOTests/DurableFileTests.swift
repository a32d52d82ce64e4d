import Glibc
import ShardIO
import SystemPackage
import TestSupport
import Testing

@Suite("Durable files")
struct DurableFileTests {
  @Test("has its size and its space from the start", arguments: [0, 1, 1_000_000])
  func size(bytes: Int) throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("file")
    _ = try DurableFile(creating: path, size: bytes)
    let stat = try path.stat()
    #expect(stat.size == bytes)
    #expect(stat.sizeAllocated >= bytes)
    #expect(try folder.read("file").allSatisfy { $0 == 0 })
  }

  @Test("writes at offsets, from more than one opener")
  func offsets() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("file")
    let first = try DurableFile(creating: path, size: 6)
    let second = try DurableFile(openingForUpdate: path)
    try [UInt8]([4, 5, 6]).withUnsafeBytes { try second.write($0, at: 3) }
    try [UInt8]([1, 2, 3]).withUnsafeBytes { try first.write($0, at: 0) }
    try first.write(UnsafeRawBufferPointer(start: nil, count: 0), at: 6)
    try first.synchronize()
    try second.synchronize()
    #expect(try folder.read("file") == [1, 2, 3, 4, 5, 6])
  }

  @Test("does not replace what is there")
  func exclusive() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("old", to: "file")
    let error = #expect(throws: WriteError.self) { _ = try DurableFile(creating: path, size: 8) }
    #expect(error?.errno == .fileExists)
    #expect(error?.operation == .create)
    #expect(try folder.read("file") == Array("old".utf8))
  }

  @Test("needs a folder, and a file to update")
  func missing() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("none")
    #expect(throws: WriteError.self) { _ = try DurableFile(creating: path.appending("file"), size: 8) }
    let error = #expect(throws: WriteError.self) { _ = try DurableFile(openingForUpdate: path) }
    #expect(error?.description == "cannot open \(path): No such file or directory")
    #expect(throws: WriteError.self) { try DurableFile.synchronizeDirectory(path) }
    #expect(throws: WriteError.self) { try DurableFile.rename(path, to: folder.path.appending("new")) }
    #expect(folder.names.isEmpty)
  }

  @Test("a full disk is named when writing, with a remedy", .enabled(if: access("/dev/full", W_OK) == 0))
  func fullDevice() throws {
    let file = try DurableFile(openingForUpdate: "/dev/full")
    let error = #expect(throws: WriteError.self) { try [UInt8]([1]).withUnsafeBytes { try file.write($0, at: 0) } }
    #expect(
      error?.description
        == "cannot write /dev/full: No space left on device (free some space or choose another --out)")
  }

  // tmpfs compares a request with its size before it takes a page; a disk would be filled to find out.
  @Test("a full disk is found when the file is created, which leaves nothing", .enabled(if: isLimitedTmpfs("/dev/shm")))
  func fullDisk() throws {
    let path = FilePath("/dev/shm/ShardIO-\(getpid())-\(UInt32.random(in: .min ... .max))")
    let error = #expect(throws: WriteError.self) { _ = try DurableFile(creating: path, size: 1 << 50) }
    #expect(error?.operation == .reserve)
    #expect(error?.errno == .noSpace)
    #expect(access(path.string, F_OK) != 0)
  }

  @Test("a file written whole replaces the old one and leaves nothing else")
  func whole() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("old and longer", to: "file")
    try DurableFile.writeWhole(Array("new".utf8), to: path)
    #expect(try folder.read("file") == Array("new".utf8))
    try DurableFile.writeWhole([], to: path)
    #expect(try folder.read("file").isEmpty)
    #expect(folder.names == ["file"])
  }

  @Test("a file that cannot be written whole leaves nothing")
  func wholeFails() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("taken")
    let error = #expect(throws: WriteError.self) { try DurableFile.writeWhole([1], to: folder.path.appending("taken")) }
    #expect(error?.operation == .rename)
    #expect(folder.names == ["taken"])
  }

  @Test("errors say what failed, where, and what to do")
  func messages() {
    let error = WriteError(path: "/out/a\nb", operation: .reserve, errno: .diskQuotaExceeded)
    #expect(error.description.hasPrefix("cannot reserve space for '/out/a\\u{a}b': "))
    #expect(error.description.hasSuffix("(free some space or choose another --out)"))
  }
}

/// Whether the folder, a tmpfs by convention, has a size, and one far below 2⁵⁰ bytes.
private func isLimitedTmpfs(_ path: String) -> Bool {
  var status = statvfs()
  guard statvfs(path, &status) == 0, access(path, W_OK) == 0 else { return false }
  return (1..<1 << 44).contains(Int(status.f_blocks) * Int(status.f_frsize))
}
