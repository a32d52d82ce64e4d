import DistSVD
import MPI

#if canImport(Glibc)
  import Glibc
#endif

/// Checks what only several ranks can: run it under mpirun with any number of them.
///
///     mpirun -n 3 rank-checks              all checks
///     mpirun -n 3 rank-checks agreement    one of them
///
/// Rank 0 prints a line for each check; the exit status is 1 if any failed on any rank. Swift Testing runs tests off
/// the main thread, where MPI may not be called; hence an executable.
@main
struct RankChecks {
  static let checks: [(name: String, run: @Sendable (Communicator, inout Expectations) throws -> Void)] = [
    ("broadcast", checkBroadcast),
    ("reductions", checkReductions),
    ("gather", checkGather),
    ("nonblocking-sum", checkNonblockingSum),
    ("nonblocking-barrier", checkBarrier),
    ("messages", checkMessages),
    ("split", checkSplit),
    ("agreement", checkAgreement),
    ("group", checkGroup),
    ("reduce-scatter", checkReduceScatter),
    ("all-gather", checkAllGather),
    ("team-gram", checkTeamGram),
    ("team-eigensolver", checkTeamEigensolver),
    ("other-team-eigensolver", checkOtherTeamEigensolver),
    ("team-failures", checkTeamFailures),
    ("teams", checkTeams),
    ("randomized", checkRandomized),
    ("spectrum", checkSpectrum),
    ("spectrum-failures", checkSpectrumFailures),
    ("thin-svd", checkThinSVD),
    ("cross-products", checkCrossProducts),
  ]

  static func main() {
    LocalBLAS.useThreads(1)
    exit(MPI.run(runChecks))
  }

  static func runChecks(_ world: Communicator) throws -> Int32 {
    let asked = Array(CommandLine.arguments.dropFirst()).filter { $0 != "all" }
    if let unknown = asked.first(where: { name in !checks.contains { $0.name == name } }) {
      if world.isRoot { print("rank-checks: no check named \(unknown): \(checks.map(\.name).joined(separator: ", "))") }
      return 64
    }
    var failed = 0
    let chosen = checks.filter { asked.isEmpty || asked.contains($0.name) }
    for check in chosen {
      var expectations = Expectations(rank: world.rank)
      try check.run(world, &expectations)
      let failures = try world.allReduced(expectations.failures.count, .sum)
      for failure in expectations.failures { print("  rank \(world.rank): \(failure)") }
      try world.barrier()
      if world.isRoot { print("\(failures == 0 ? "ok    " : "FAILED") \(check.name) on \(world.size) ranks") }
      if failures > 0 { failed += 1 }
    }
    if world.isRoot { print("\(chosen.count - failed) passed, \(failed) failed") }
    return failed == 0 ? 0 : 1
  }
}

/// What one rank found wrong in one check.
struct Expectations {
  let rank: Int
  var failures: [String] = []

  mutating func expect(_ condition: Bool, _ what: @autoclosure () -> String, line: Int = #line) {
    if !condition { failures.append("line \(line): \(what())") }
  }

  mutating func expectEqual<T: Equatable>(_ found: T, _ wanted: T, line: Int = #line) {
    if found != wanted { failures.append("line \(line): found \(found), wanted \(wanted)") }
  }
}
