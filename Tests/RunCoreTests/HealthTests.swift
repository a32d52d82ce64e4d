import MPI
import ShardIO
import SystemPackage
import Testing

@testable import RunCore

/// Findings about runs that are made up, each wrong in one way.
@Suite("Findings about a launch")
struct HealthTests {
  /// Ranks on nodes of four cores, two on each node, each bound to a core of its own.
  private func ranks(_ count: Int = 2, change: (inout RankSurvey) -> Void = { _ in }) -> [RankSurvey] {
    (0..<count).map { rank in
      var survey = RankSurvey(
        rank: rank, node: rank / 2 * 2, host: "n\(rank / 2)", cores: [rank % 2], allowedCores: 4, coreLimit: nil,
        threads: 1,
        yieldsWhenIdle: false, memory: NodeMemory(total: 64_000_000_000, available: 60_000_000_000),
        files: LocalFiles(
          sharedMemory: FileSystemSpace(type: "tmpfs", bytes: 1 << 30, free: 1 << 30), temporary: "/tmp", obstacle: nil),
        mpi: "Open MPI v4.1.4, more", pmix: "OpenPMIx 4.2.2 (x)", launcherPMIx: "4.2.2",
        blas: "OpenBLAS 0.3.21, Zen kernels")
      change(&survey)
      return survey
    }
  }

  private func launch(_ processes: Int) -> LaunchEnvironment {
    LaunchEnvironment { $0 == "OMPI_COMM_WORLD_SIZE" ? "\(processes)" : nil }
  }

  private func findings(_ surveys: [RankSurvey]) -> [Finding] { LaunchFindings.all(surveys, launch(surveys.count)) }

  /// The only finding that is more than fine.
  private func trouble(_ surveys: [RankSurvey]) throws -> Finding {
    let found = findings(surveys).filter { $0.severity != .fine }
    try #require(found.count == 1, "\(found)")
    #expect(found[0].remedy != nil)
    return found[0]
  }

  @Test("nothing is wrong with ranks that have what they need")
  func healthy() {
    #expect(findings(ranks(4)).allSatisfy { $0.severity == .fine && $0.remedy == nil })
    #expect(findings(ranks(4))[0].found == "4 processes on 2 hosts, started by mpirun")
  }

  @Test("ranks that share a core while others are idle")
  func binding() throws {
    let found = try trouble(ranks(4) { $0.cores = [3] })
    #expect(found.topic == .cores && found.severity == .problem && found.failure == .usage)
    #expect(found.found.hasPrefix("2 processes on host n0 with 2 threads together may run on core 3 alone"))
    #expect(found.found.hasSuffix("and likewise on 1 more node"))
    // One rank too, with more threads than the core that it is bound to.
    let single = try trouble(ranks(1) { $0.threads = 3 })
    #expect(single.found.contains("process 0") && single.remedy?.contains("PE=3") == true)
  }

  @Test("more threads than cores, unless processes yield")
  func oversubscription() throws {
    func crowded(yields: Bool) -> [RankSurvey] {
      ranks { survey in
        survey.cores = [0, 1, 2, 3]
        survey.threads = 3
        survey.yieldsWhenIdle = yields
      }
    }
    let found = try trouble(crowded(yields: false))
    #expect(found.severity == .warning && found.found == "6 threads of 2 processes on host n0 share 4 cores")
    #expect(findings(crowded(yields: true)).allSatisfy { $0.severity == .fine })
  }

  @Test("more threads than the processor time that a control group allows")
  func quota() throws {
    let found = try trouble(ranks { $0.coreLimit = 0.5 })
    #expect(found.severity == .warning && found.found.contains("the time of 0.5 cores"))
    #expect(findings(ranks { $0.coreLimit = 1.5 }).allSatisfy { $0.severity == .fine })
  }

  @Test("too little shared memory for several processes")
  func sharedMemory() throws {
    let small = FileSystemSpace(type: "tmpfs", bytes: 6 << 20, free: 6 << 20)
    let found = try trouble(ranks { $0.files.sharedMemory = small })
    #expect(
      found.topic == .sharedMemory && found.severity == .problem
        && found.found.contains("/dev/shm of host n0 has 6.3 MB free"))
    // One process keeps nothing there.
    #expect(findings(ranks(1) { $0.files.sharedMemory = small }).allSatisfy { $0.severity == .fine })
  }

  @Test("a folder for temporary files that cannot be written to, or has a long path")
  func temporary() throws {
    let found = try trouble(ranks { if $0.rank == 1 { $0.files.obstacle = "Read-only file system" } })
    #expect(
      found.topic == .temporaryFiles && found.severity == .warning && found.found.contains("(Read-only file system)"))
    let files = LocalFiles(sharedMemory: nil, temporary: "/tmp", obstacle: "Read-only file system")
    #expect(FileFindings.obstacle(files, on: "n0", isAlone: true)?.failure == .io)
    let long = try trouble(ranks { $0.files.temporary = "/" + String(repeating: "x", count: 64) })
    #expect(long.severity == .warning && long.found.contains("65 bytes"))
  }

  @Test("libraries that differ")
  func libraries() throws {
    let mpi = try trouble(ranks(4) { if $0.rank == 3 { $0.mpi = "Open MPI v5.0.7, more" } })
    #expect(mpi.severity == .problem && mpi.found == "MPI is Open MPI v4.1.4 on host n0 and Open MPI v5.0.7 on host n1")
    let blas = try trouble(ranks(4) { if $0.rank == 2 { $0.blas = "OpenBLAS 0.3.21, Haswell kernels" } })
    #expect(blas.severity == .warning && blas.found.contains("Zen") && blas.found.contains("Haswell"))
    let pmix = try trouble(ranks { $0.launcherPMIx = "3.1.5" })
    #expect(pmix.severity == .warning && pmix.found.contains("PMIx 3.1.5"))
  }

  @Test("memory that the node or a control group does not have")
  func memory() {
    func finding(_ wanted: [Int], _ change: (inout RankSurvey) -> Void = { _ in }) -> Finding {
      MemoryFindings.of(ranks(wanted.count, change: change), wanted: wanted, by: "the plan")
    }
    let each = 20_000_000_000
    #expect(finding([each, each]).severity == .fine)
    let scarce = finding([1, 1, 3 * each, each])
    #expect(
      scarce.severity == .problem
        && scarce.found.contains("up to 60.0 GB a process, 80.0 GB for the 2 processes on host n1"))
    #expect(scarce.found.hasSuffix("only 60.0 GB are available"))
    let limited = finding([each, each]) {
      $0.memory.limit = 30_000_000_000; $0.memory.group = "/job"
    }
    #expect(
      limited.found.hasSuffix("where control group /job allows 30.0 GB") && limited.remedy?.contains("--mem") == true)
    #expect(finding([.max, .max]).severity == .problem)
  }

  @Test(
    "amounts in words",
    arguments: [(999, "999 B"), (1049, "1.0 kB"), (1050, "1.1 kB"), (1 << 30, "1.1 GB"), (.max, "9223372.0 TB")])
  func amounts(bytes: Int, words: String) { #expect(Amount.of(bytes) == words) }

  @Test("an output folder without room, or in memory")
  func output() {
    func finding(_ space: FileSystemSpace, needing bytes: Int?) -> Finding {
      OutputProbe.Result(folder: "/o", space: space, problems: [], ranks: 2).findings(for: "/o", needing: bytes)[0]
    }
    let disk = FileSystemSpace(type: "NFS", bytes: 1 << 40, free: 1 << 30)
    #expect(finding(disk, needing: 1 << 29) == .fine(.output, "/o (NFS) has 1.1 GB free, seen by all processes"))
    let full = finding(disk, needing: 1 << 31)
    #expect(full.failure == .io && full.found.contains("has 1.1 GB free, and the plan needs 2.1 GB there"))
    let memory = FileSystemSpace(type: "tmpfs", isMemory: true, bytes: 1 << 40, free: 1 << 30)
    #expect(finding(memory, needing: nil).severity == .warning)
    #expect(
      finding(FileSystemSpace(type: "tmpfs", isMemory: true, bytes: 9, free: 9), needing: nil).severity == .problem)
  }
}
