import DistSVD
import Execution
import MPI
import Planning
import RunCore
import ShardIO
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The steps of `frog-mpi doctor`, each of which relies on those before it.
///
///     answers → threads and libraries → launch, cores, files → memory against the plan → output folder
struct Examination {
  private let command: Doctor
  private let site: LaunchSite
  private let world: Communicator
  private let limit: AnswerLimit

  init(_ command: Doctor, at site: LaunchSite, on world: Communicator, limit: AnswerLimit) {
    self.command = command
    self.site = site
    self.world = world
    self.limit = limit
  }

  /// Goes through all steps.
  ///
  /// Collective: every rank calls it. If some process does not answer, it ends all processes with a report, and does not come back.
  ///
  /// - Returns: the findings, on rank 0; nothing on other ranks.
  func run() throws -> [Finding] {
    let answers = try answers()
    limit.expect("a collective call")
    let (threads, refusal) = try startThreads()
    let survey = try RankSurvey.take(
      threads: threads, blas: LocalBLAS.description, files: site.files, launch: site.environment, world: world)
    let surveys = try survey.gathered(on: world)
    let budget = try MemoryBudget.agreed(given: command.resources.memory?.bytes, world).bytes
    // The headers of a large checkpoint on a slow disk take their time, during which the other ranks wait.
    limit.pause()
    let planned = world.isRoot ? plan(surveys, threads: threads, memory: budget) : DoctorPlan()
    try world.barrier()
    limit.expect("the output folder")
    let output = try probe(planned)
    guard world.isRoot else { return [] }
    return LaunchFindings.all(surveys, site.environment) + [answers] + refusal + planned.findings + output
  }

  /// Finds out who answers at all, and whether the answers of a collective call are right.
  private func answers() throws -> Finding {
    limit.expect("the roll call of rank 0", factor: 4)
    let silent = try world.rollCall(within: limit.seconds)
    if !silent.isEmpty { try give(up: silent) }
    limit.expect("a collective call")
    let start = ContinuousClock.now
    try world.barrier()
    let sum = try world.allReduced(world.rank + 1, .sum)
    let took = (ContinuousClock.now - start).seconds
    guard sum == world.size * (world.size + 1) / 2 else {
      return .problem(
        .answers, "a sum over all ranks came out as \(sum), not \(world.size * (world.size + 1) / 2)",
        do: "report it to whoever installed MPI", as: .internal)
    }
    return .fine(.answers, "all processes answer, to a barrier and a sum in \(Terminal.decimal(1000 * took, 1)) ms")
  }

  /// Reports the ranks that do not answer, and ends all processes.
  private func give(up silent: [Int]) throws -> Never {
    let ranks = silent.prefix(8).map(String.init).joined(separator: ", ") + (silent.count > 8 ? " and more" : "")
    let who = silent.count == 1 ? "rank \(ranks) does" : "\(silent.count) of \(world.size) ranks (\(ranks)) do"
    let own = "rank \(world.rank) on host \(HostName.shown(HostName.own))"
    let finding = Finding.problem(
      .answers, "\(who) not answer \(own) within \(Terminal.decimal(limit.seconds, 0)) s",
      do:
        "see that these processes run and that nodes reach each other (mpirun --mca btl_tcp_if_include chooses the network), "
        + "or give a longer --timeout", as: .internal)
    do {
      if world.isRoot { try command.print(DoctorReport([finding])) } else { Terminal.complain(finding.sentence) }
    } catch {
      Terminal.complain(error.message)
    }
    // The launcher drops what it has not passed on when the job is aborted. A rank that nobody hears leaves the end to rank 0.
    sleep(world.isRoot ? 1 : 5)
    world.abort(status: ExitStatus.internalError.rawValue)
  }

  /// Starts the threads of BLAS, as a run does.
  ///
  /// - Returns: their number, and the problem if they cannot be had.
  private func startThreads() throws -> (Int, [Finding]) {
    let threads = try ThreadBudget.agreed(given: command.resources.threads, world)
    do {
      try BLASThreads.start(threads, on: world)
      return (threads, [])
    } catch let failure as RunFailure {
      return (threads, [DoctorPlan.problem(.cores, failure)])
    }
  }

  /// What a run on the checkpoint needs; without one what every process needs.
  private func plan(_ surveys: [RankSurvey], threads: Int, memory: Int) -> DoctorPlan {
    guard let checkpoint = command.checkpoint else {
      let base = [Int](repeating: MemoryModel.base, count: world.size)
      return DoctorPlan(findings: [MemoryFindings.of(surveys, wanted: base, by: "every run")])
    }
    let perNode = Dictionary(grouping: surveys, by: \.node).values.map(\.count).max() ?? 1
    return DoctorPlan(
      FilePath(checkpoint), command.work, command.choice.options,
      Layout(ranks: world.size, ranksPerNode: perNode, threads: threads, memoryPerRank: memory), surveys)
  }

  /// Tries out the output folder, if there is one.
  private func probe(_ planned: DoctorPlan) throws -> [Finding] {
    guard let out = command.out else { return [] }
    let result = try OutputProbe(FilePath(out), on: world).run()
    guard world.isRoot else { return [] }
    return result.findings(for: FilePath(out), needing: planned.bytesOnDisk)
  }
}
