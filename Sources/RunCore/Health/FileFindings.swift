import ShardIO
import SystemPackage

/// Whether the folders that MPI keeps files in have room and can be written to.
package enum FileFindings {
  /// The bytes of shared memory that Open MPI takes for each process of a node: one segment of 4 MiB and its header.
  static let segment = 4 << 20 + 1 << 16
  /// The longest path of a folder in which the names of sockets still fit: a socket's path has at most 107 bytes, and Open MPI's own part
  /// such as `/ompi.HOST.UID/pid.PID/0/0/usock` takes up to 43 of them.
  static let longestTemporary = 64

  static func of(_ nodes: [SurveyedNode], isAlone: Bool) -> [Finding] {
    [sharedMemory(nodes), temporary(nodes, isAlone: isAlone)]
  }

  private static func sharedMemory(_ nodes: [SurveyedNode]) -> Finding {
    let small = nodes.first { node in
      guard node.ranks.count > 1, let space = node.ranks[0].files.sharedMemory else { return nil }
      // The other ranks of the node may have begun to take room before one of them looked.
      let free = node.ranks.compactMap { $0.files.sharedMemory?.free }.max() ?? 0
      let needed = segment * node.ranks.count
      guard free < needed else { return nil }
      return .problem(
        .sharedMemory,
        "/dev/shm of host \(node.host) has \(Amount.of(free)) free of \(Amount.of(space.bytes)), and Open MPI takes "
          + "\(Amount.of(needed)) there for \(node.processes)",
        do:
          "give it more room (docker run --shm-size=1g; mount -o remount,size=1g /dev/shm), remove what dead processes left there, "
          + "or choose another folder by mpirun --mca btl_vader_backing_directory /tmp")
    }
    if let small { return small }
    let free = nodes.compactMap { $0.ranks[0].files.sharedMemory?.free }.min()
    return .fine(.sharedMemory, free.map { "/dev/shm has \(Amount.of($0)) free" } ?? "there is no /dev/shm")
  }

  private static func temporary(_ nodes: [SurveyedNode], isAlone: Bool) -> Finding {
    if let unusable = nodes.first({ node in
      node.ranks.lazy.compactMap { obstacle($0.files, on: node.host, isAlone: isAlone) }.first
    }) {
      return unusable
    }
    let long = nodes.first { node in
      let path = node.ranks[0].files.temporary
      guard path.utf8.count > longestTemporary else { return nil }
      return .warning(
        .temporaryFiles,
        "the path of the folder for temporary files, \(shown(FilePath(path))), has \(path.utf8.count) bytes on host \(node.host), and with "
          + "more than \(longestTemporary) the sockets of some MPI libraries do not fit below it",
        do: "set TMPDIR to a shorter path")
    }
    return long
      ?? .fine(.temporaryFiles, "\(shown(FilePath(nodes.first?.ranks[0].files.temporary ?? "/tmp"))) can be written to")
  }

  /// What is wrong if no file can be made in the folder for temporary files; nil if one can be.
  ///
  /// Without a launcher MPI ends the process there. A launcher makes the folders of its processes by itself, wherever their `TMPDIR` leads.
  ///
  /// - Parameter isAlone: whether there is no launcher.
  package static func obstacle(_ files: LocalFiles, on host: String, isAlone: Bool) -> Finding? {
    guard let reason = files.obstacle else { return nil }
    let found =
      "no file can be made in the folder for temporary files, \(shown(FilePath(files.temporary))), on host \(host) (\(reason))"
    let remedy = "set TMPDIR to a folder that can be written to"
    return isAlone
      ? .problem(.temporaryFiles, found + ", and MPI needs some", do: remedy, as: .io)
      : .warning(.temporaryFiles, found + ", and libraries under MPI may need some", do: remedy)
  }
}
