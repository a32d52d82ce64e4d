import MPI
import ShardIO
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Tries out whether every rank can use an output folder, and leaves nothing there.
package struct OutputProbe {
  private let path: FilePath
  private let world: Communicator

  package init(_ path: FilePath, on world: Communicator) {
    self.path = path
    self.world = world
  }

  /// What the ranks have found, on rank 0.
  package struct Result: Sendable {
    /// The folder that was tried: the output folder, or the nearest one above it that is there.
    package let folder: FilePath
    /// Its file system; nil if the system does not tell.
    package let space: FileSystemSpace?
    /// What is wrong; empty if nothing is.
    package let problems: [Finding]
    /// The number of ranks that have tried.
    let ranks: Int

    /// The bytes without which no run is begun, if it is not known how many it needs.
    private static let least = 16 << 20

    /// Everything that there is to say of the output folder `path`.
    ///
    /// - Parameter needed: the bytes that the run needs there; nil if that is not known.
    package func findings(for path: FilePath, needing needed: Int?) -> [Finding] {
      guard problems.isEmpty, let space else { return problems }
      let place = "\(shown(path)) (\(space.type))"
      let wanted = needed.map { max($0, Self.least) } ?? Self.least
      guard space.free >= wanted else {
        let who = needed == nil ? "a run" : "the plan"
        return [
          .problem(
            .output,
            "the file system of \(place) has \(Amount.of(space.free)) free, and \(who) needs \(Amount.of(wanted)) there",
            do: "make room, or choose another --out", as: .io)
        ]
      }
      if space.isMemory {
        return [
          .warning(
            .output, "\(place) lies in the memory of host \(HostName.shown(HostName.own)), and is gone with it",
            do: "choose an --out on a disk")
        ]
      }
      let seen = ranks > 1 ? ", seen by all processes" : ""
      return [.fine(.output, "\(place) has \(Amount.of(space.free)) free\(seen)")]
    }
  }

  /// Rank 0 makes a file, the others look for it, and make one of their own.
  ///
  /// A network file system may show a new file late, so ranks look for two seconds.
  ///
  /// Collective: every rank calls it.
  package func run() throws -> Result {
    // 1. Rank 0 chooses the folder and makes a file.
    var obstacle: Finding?
    var trial = FilePath()
    if world.isRoot {
      do {
        trial = Folder.trialName(in: try Folder.nearest(to: path))
        try DurableFile.writeWhole([0], to: trial)
      } catch {
        obstacle = cannotWrite("\(error.errno)", rank: 0, host: HostName.own)
      }
    }
    defer { if world.isRoot, obstacle == nil { try? Folder.remove(trial) } }
    let name = try world.broadcasting(Array((obstacle == nil ? trial.string : "").utf8))
    guard !name.isEmpty else {
      return Result(folder: path, space: nil, problems: obstacle.map { [$0] } ?? [], ranks: world.size)
    }
    // 2. The others look for it, and write too.
    let file = FilePath(String(decoding: name, as: UTF8.self))
    let words = world.isRoot ? "" : seen(file) ? (writingFails(beside: file) ?? "") : Self.unseen
    let all = try world.gather(Array(words.utf8)).map { String(decoding: $0, as: UTF8.self) }
    let hosts = try world.gather(Array(HostName.own.utf8)).map { String(decoding: $0, as: UTF8.self) }
    guard world.isRoot else { return Result(folder: path, space: nil, problems: [], ranks: world.size) }
    // 3. Rank 0 sums up.
    let folder = trial.removingLastComponent()
    var problems: [Finding] = []
    let blind = all.indices.filter { all[$0] == Self.unseen }
    if !blind.isEmpty { problems.append(Self.notShared(folder, hosts: Self.distinct(blind.map { hosts[$0] }))) }
    if let rank = all.indices.first(where: { !all[$0].isEmpty && all[$0] != Self.unseen }) {
      problems.append(cannotWrite(all[rank], rank: rank, host: hosts[rank]))
    }
    return Result(folder: folder, space: try? FileSystemSpace(of: folder), problems: problems, ranks: world.size)
  }

  /// The problem that some hosts do not see what rank 0 has made.
  static func notShared(_ folder: FilePath, hosts: [String]) -> Finding {
    let who = hosts.count == 1 ? "host \(HostName.list(hosts)) does" : "hosts \(HostName.list(hosts)) do"
    return .problem(
      .output, "\(who) not see what rank 0 has made in the folder \(shown(folder))",
      do: "choose an --out on a file system that all nodes share", as: .io)
  }

  private static let unseen = "unseen"

  private static func distinct(_ names: [String]) -> [String] {
    var known: Set<String> = []
    return names.filter { known.insert($0).inserted }
  }

  private func cannotWrite(_ words: String, rank: Int, host: String) -> Finding {
    .problem(
      .output, "rank \(rank) on host \(HostName.shown(host)) cannot write to \(shown(path)) (\(words))",
      do: "choose an --out that every process can write to", as: .io)
  }

  private func seen(_ file: FilePath) -> Bool {
    let end = ContinuousClock.now + .seconds(2)
    repeat {
      // Opening a file, unlike asking for its size, makes network file systems look at the server.
      if let opened = try? FileDescriptor.open(file, .readOnly, options: .closeOnExec) {
        try? opened.close()
        return true
      }
      usleep(50_000)
    } while ContinuousClock.now < end
    return false
  }

  /// Why a file beside another cannot be written, in words; nil if it can.
  private func writingFails(beside file: FilePath) -> String? {
    let own = Folder.trialName(in: file.removingLastComponent())
    do {
      try DurableFile.writeWhole([0], to: own)
      try Folder.remove(own)
      return nil
    } catch {
      return "\(error.errno)"
    }
  }
}
