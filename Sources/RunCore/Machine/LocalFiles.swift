import ShardIO
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The folders of this machine in which MPI keeps files: shared memory, and temporary files.
///
/// They are looked at before MPI starts, which takes room in the first, and ends the process where it cannot write to the second.
package struct LocalFiles: Codable, Sendable, Equatable {
  /// The bytes of the file system at `/dev/shm`, and how many of them are free; nil if there is none.
  package var sharedMemory: FileSystemSpace?
  /// The folder of temporary files, `/tmp` unless `TMPDIR`, `TEMP` or `TMP` says another.
  package var temporary: String
  /// Why no file can be made in the folder, in words; nil if one can be.
  package var obstacle: String?

  package init(sharedMemory: FileSystemSpace?, temporary: String, obstacle: String? = nil) {
    self.sharedMemory = sharedMemory
    self.temporary = temporary
    self.obstacle = obstacle
  }

  /// Looks at this machine, in the same variables and order as Open MPI.
  ///
  /// - Parameter isAlone: whether the process was started without a launcher. Otherwise `OMPI_MCA_orte_tmpdir_base` is the launcher's, which
  ///   has made what it needs there.
  package static func look(isAlone: Bool) -> LocalFiles {
    let names = (isAlone ? ["OMPI_MCA_orte_tmpdir_base"] : []) + ["TMPDIR", "TEMP", "TMP"]
    let given = names.lazy.compactMap { getenv($0).map { String(cString: $0) } }.first { !$0.isEmpty }
    let folder = given ?? "/tmp"
    return LocalFiles(
      sharedMemory: try? FileSystemSpace(of: "/dev/shm"), temporary: folder, obstacle: obstacle(in: FilePath(folder)))
  }

  /// Why no folder can be made in `folder`, in words; nil if one can be made. Folders above it that are missing are made, as MPI does it.
  private static func obstacle(in folder: FilePath) -> String? {
    let trial = Folder.trialName(in: folder)
    do {
      try Folder.create(trial)
      try Folder.removeEmpty(trial)
      return nil
    } catch {
      return "\(error.errno)"
    }
  }
}
