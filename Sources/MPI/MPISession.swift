import CMPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Initializes MPI, runs `body` on every rank with the communicator of all of them, and finalizes MPI.
///
/// Call it once, from the main thread.
///
/// `body` returns a failure that all ranks agree on as an exit status. An error that it throws is unexpected: the rank
/// names itself and the error on standard error, and all ranks are aborted with status 70, since the others may be
/// waiting for this one.
///
/// - Parameters:
///   - launch: what the launcher has said; a run of which MPI sees another number of processes is refused with status 64.
///     Nil for a body that looks at that itself.
///   - complain: reports an error of the rank; nil for a line on standard error.
///   - body: the work of a rank. It returns the exit status of the process.
/// - Returns: the exit status. Pass it to `exit` when all objects of `body` are gone.
package func run(
  checking launch: LaunchEnvironment? = .current(), complain: ((String) -> Void)? = nil,
  _ body: (Communicator) throws -> Int32
) -> Int32 {
  let complain = complain ?? writeLine
  do {
    try check(cmpi_initialize(), "MPI_Init_thread")
    let world = try Communicator(handle: cmpi_world(), isOwned: false)
    if let launch, let problem = launch.mismatch(worldSize: world.size) {
      // The tasks find the same, each by itself.
      if launch.isFirst { complain("\(problem.found): \(problem.remedy)") }
      guard world.size == 1 else { world.abort(status: 64) }
      try check(cmpi_finalize(), "MPI_Finalize")
      return 64
    }
    let status: Int32
    do {
      status = try body(world)
    } catch {
      complain("rank \(world.rank): \(error)")
      world.abort(status: 70)
    }
    try check(cmpi_finalize(), "MPI_Finalize")
    return status
  } catch {
    complain("\(error)")
    return 70
  }
}

/// The name and version of the MPI library in its own words, on one line.
package func libraryVersion() -> String {
  let text = cString(capacity: Int(cmpi_library_capacity)) { cmpi_library_version($0) } ?? "unknown"
  return String(text.prefix { $0 != "\n" })
}

/// The version of the PMIx library that MPI has loaded, in its own words; nil if there is none, or MPI is not initialized.
package func pmixVersion() -> String? {
  guard let text = cmpi_pmix_version() else { return nil }
  return String(String(cString: text).prefix { $0 != "\n" })
}

/// Prints a line on standard error in one write, so that the lines of several ranks do not mix.
private func writeLine(_ line: String) {
  let text = Array("frog-mpi: error: \(line)\n".utf8)
  _ = write(STDERR_FILENO, text, text.count)
}
