import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ShardIO

/// Another process, until its standard input closes.
private final class Child {
  private let process = Process()
  private let input = Pipe()
  let pid: Int32

  /// - Parameter command: for the shell; says a line when it is where it should be.
  init(_ command: String) throws {
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    pid = process.processIdentifier
    _ = output.fileHandleForReading.availableData
  }

  /// Kills it, so that it has no time to clean up.
  func kill() {
    Glibc.kill(pid, SIGKILL)
    process.waitUntilExit()
  }

  deinit { if process.isRunning { kill() } }

  /// Holds a lock on `file` and has written `text` into it; one process, which dies at once.
  static func holding(_ file: FilePath, text: String) throws -> Child {
    try Child("printf '\(text)' >> \(file); exec 9<\(file); flock -xn 9 && echo locked; exec cat")
  }
}

@Suite("File locks")
struct FileLockTests {
  private func lines(_ folder: TemporaryFolder) throws -> [String] {
    String(decoding: try folder.read("lock"), as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private func taken(_ path: FilePath) throws -> LockError? {
    #expect(throws: LockError.self) { _ = try FileLock(path) }
  }

  @Test("names its process, and goes when released")
  func life() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let lock = try FileLock(path)
    let words = try lines(folder)[0].split(separator: " ").map(String.init)
    #expect(words.count == 4)
    #expect(words[0] == SystemCalls.hostName)
    #expect(words[1] == "\(getpid())")
    #expect(words[3].wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil)
    lock.release()
    #expect(folder.names.isEmpty)
    let next = try FileLock(path)
    lock.release()
    #expect(folder.names == ["lock"], "a second release does not touch the lock of another")
    next.release()
  }

  @Test("is refused to a second one, with the name of the first")
  func twice() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let lock = try FileLock(path)
    guard case .taken(let where_, let holder) = try taken(path) else {
      Issue.record("not taken")
      return
    }
    #expect(where_ == path)
    #expect(holder?.process == getpid())
    #expect(holder?.host == SystemCalls.hostName)
    lock.release()
    try FileLock(path).release()
  }

  @Test("of another process is respected until that dies, and then taken over")
  func killed() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let child = try Child.holding(path, text: "node7 4711 12345 2026-11-21T10:00:00Z\\n")
    let error = try taken(path)
    #expect(
      error?.description
        == "another run is at work there: process 4711 on 'node7', since '2026-11-21T10:00:00Z' holds \(path)")
    child.kill()
    let lock = try FileLock(path)
    #expect(try lines(folder).count == 1)
    #expect(try lines(folder)[0].contains(" \(getpid()) "))
    lock.release()
    #expect(folder.names.isEmpty)
  }

  @Test("of an object that is dropped is free")
  func dropped() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    do { _ = try FileLock(path) }
    #expect(folder.names == ["lock"])
    try FileLock(path).release()
  }

  @Test(
    "takes over what nobody holds, whatever it says",
    arguments: ["", "\n", "nonsense", "node7 4711 1 x\n", String(repeating: "long ", count: 10_000)])
  func stale(text: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(text, to: "lock")
    let lock = try FileLock(path)
    #expect(try lines(folder).count == 1)
    #expect(try lines(folder)[0].hasPrefix("\(SystemCalls.hostName) \(getpid()) "))
    lock.release()
  }

  @Test(
    "names nobody where the words of the holder make no sense",
    arguments: ["", "nonsense\\n", "a b c d\\n", "a 0 0 d\\n", "a -1 0 d\\n", " 1 0 d\\n", "a 1 0 d"])
  func nonsense(text: String) throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let child = try Child.holding(path, text: text)
    #expect(try taken(path) == .taken(path, by: nil))
    child.kill()
  }

  @Test("does not let a holder write to the terminal")
  func hostile() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let child = try Child.holding(path, text: "\\033[2J 1 0 \\033]0;x\\007\\n")
    let error = try taken(path)
    #expect(error?.description.unicodeScalars.contains { $0.value < 32 || $0.value == 127 } == false)
    child.kill()
  }

  @Test("follows no link, and takes nothing but a file")
  func kinds() throws {
    let folder = try TemporaryFolder()
    try folder.write("precious", to: "other")
    try folder.makeLink("lock", to: "other")
    #expect(try taken(folder.path.appending("lock"))?.isAboutAccess == true)
    #expect(try folder.read("other") == Array("precious".utf8))
    try folder.makeFolder("folder")
    #expect(try taken(folder.path.appending("folder"))?.isAboutAccess == true)
    #expect(mkfifo(folder.path.appending("pipe").string, 0o600) == 0)
    #expect(try taken(folder.path.appending("pipe"))?.isAboutAccess == true)
    #expect(try taken(folder.path.appending("none").appending("lock"))?.isAboutAccess == true)
  }

  @Test("of a file that is replaced is not removed with it")
  func replaced() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let lock = try FileLock(path)
    try SystemCalls.remove(path)
    let next = try FileLock(path)
    lock.release()
    #expect(folder.names == ["lock"])
    next.release()
  }

  @Test("is one process's at a time, also while files come and go")
  func contention() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let marker = folder.path.appending("marker")
    let won = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var won = 0
          for _ in 0..<300 {
            do {
              let lock = try FileLock(path)
              // Fails if another has it.
              let file = try DurableFile(creating: marker, size: 0)
              _ = consume file
              try SystemCalls.remove(marker)
              lock.release()
              won += 1
            } catch is LockError {
            }
          }
          return won
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(won > 0)
    #expect(folder.names.isEmpty)
  }

  // What decides where the file system knows no locks.

  @Test("without locks, a process that runs here keeps the file, and one that is gone does not")
  func withoutLocks() throws {
    let path = FilePath("lock")
    let host = SystemCalls.hostName
    let child = try Child("echo; exec cat")
    let start = try #require(ProcessStart.ticks(of: child.pid))
    let holder = LockHolder(host: host, process: child.pid, start: start, since: "t")
    #expect(try !FileLock.isStale(holder, path: path))
    let earlier = LockHolder(host: host, process: child.pid, start: start - 1, since: "t")
    #expect(try FileLock.isStale(earlier, path: path), "the number belongs to another process now")
    child.kill()
    #expect(try FileLock.isStale(holder, path: path))
    let elsewhere = LockHolder(host: host + "x", process: child.pid, start: start, since: "t")
    let error = #expect(throws: LockError.self) { _ = try FileLock.isStale(elsewhere, path: path) }
    #expect(error == .unknown(path, holder: elsewhere))
    #expect(error?.description.hasSuffix("if it is, remove the file") == true)
    #expect(throws: LockError.unknown(path, holder: nil)) { _ = try FileLock.isStale(nil, path: path) }
  }

  @Test("reads when a process began, whatever its name")
  func starts() throws {
    let fields = (4...30).map { "\($0)" }.joined(separator: " ")
    #expect(ProcessStart.parse(Array("1 (a) b (c) S \(fields)\n".utf8)) == 22)
    #expect(ProcessStart.parse(Array("1 (a".utf8)) == nil)
    #expect(ProcessStart.parse([]) == nil)
    #expect(ProcessStart.parse(Array("1 (a) S 2 3".utf8)) == nil)
    #expect(ProcessStart.ticks(of: getpid()) != nil)
    #expect(ProcessStart.ticks(of: .max) == nil)
  }
}
