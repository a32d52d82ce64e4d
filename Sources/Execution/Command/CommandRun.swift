import DistSVD
import MPI
import Planning
import RunCore
import ShardIO
import SystemPackage
import Weights

/// One run of a command, from its options to the published results.
///
/// The steps are the same for every command:
///
///     threads → catalogs → plan → claim → norms → identity → work → publication
///
/// Every rank runs it. A failure on one rank is thrown by all of them, as the same ``RunFailure``.
package struct CommandRun<Command: MatrixCommand> {
  private let command: Command
  private let context: RunContext

  private var world: Communicator { context.world }
  private var options: RunOptions { command.options }

  /// A run of `command` on the ranks of `context`.
  package init(_ command: Command, in context: RunContext) {
    self.command = command
    self.context = context
  }

  /// The result of a run.
  package struct Outcome {
    /// The result.
    package let product: Command.Product
    /// `run.json`; nil if an earlier run had finished everything.
    package let statistics: RunStatistics?
  }

  /// Does the work, or what is left of it, and publishes the results.
  ///
  /// Collective: every rank calls it. Except for `run.json`, the files it writes depend neither on the number of ranks nor on how often the
  /// run was interrupted.
  ///
  /// - Returns: the result, on every rank.
  /// - Throws: ``RunFailure``, of one kind on every rank. Then no file has appeared under its final name, or the folder is visibly
  ///   incomplete and `--resume` completes it.
  package func callAsFunction() throws -> Outcome { try context.reporting(run) }

  private func run() throws -> Outcome {
    let output = OutputDirectory(options.output.path, of: command.kind, among: context.kinds)
    // 1. Threads: a run that is continued keeps the number it began with, since threads shape the last bits of results.
    let begun = options.output.resume ? try RunStart.threads(in: output, world: world) : nil
    let threads = try context.setThreads(options.threads, begun: begun)
    let checkup = try Checkup(threads: threads, in: context)
    checkup.warnOfLaunch()
    // 2. Catalogs and plan: what the headers say, and whether it can be done.
    let (catalogs, planner, prepared) = try prepare(threads: threads)
    var preparation = prepared
    checkup.warnOfMemory(planner)
    // 3. Claim: make sure that the results have a place before hours of work.
    return try ClaimedRun.holding(
      output, options.output, checkpoints: options.sources.map(\.path), world: world, watch: context.watch
    ) { claimed in
      // 4. Norms: read all weights once, for norms and for hashes that tell what the weights were.
      let inputs = try measure(catalogs)
      // 5. Identity: is this the run that the folder has begun, or finished?
      let identity = RunIdentity(
        version: context.version, command: command.kind.command,
        options: try command.words(&preparation, inputs, threads: threads, in: context), threads: threads,
        sources: Dictionary(
          uniqueKeysWithValues: zip(options.sources, inputs).map { ($0.name, .init($1.catalog, $1.norms)) }))
      guard try claimed.begins(identity, planned: planner.plannedBytes, warn: context.warn) else {
        return Outcome(product: try command.product(in: output.path, world: world), statistics: nil)
      }
      // 6. Work: the command's own stages over the matrices.
      let finished = try command.work(
        preparation,
        BegunRun(
          context: context, inputs: inputs, planner: planner, teams: MatrixTeams(world), threads: threads,
          output: output, digest: try identity.digest()))
      // 7. Publication: from here on the results are those of the run, whatever happens.
      let statistics = try statistics(finished.totals, threads: threads)
      try claimed.publish(commit(finished, statistics, to: output))
      return Outcome(product: finished.product, statistics: statistics)
    }
  }

  /// Reads the headers, and refuses what cannot be done, or does not fit in memory, before any weight is read and anything is written.
  ///
  /// The headers are gone when this returns: those of a million tensors take hundreds of megabytes, which hours of work have no use for.
  private func prepare(threads: Int) throws -> ([Catalog], Planner, Command.Preparation) {
    let checkpoints = try context.stage("catalog", load)
    let planner = try Planner(threads: threads, memory: options.memory, world: world, warn: context.warn)
    return (checkpoints.catalogs, planner, try command.prepare(checkpoints, planner, in: context))
  }

  /// Reads and validates the checkpoints on rank 0, gives their catalogs to all ranks, and has the command arrange them.
  private func load() throws -> LoadedCheckpoints {
    var classified: [ClassifiedCheckpoint] = []
    let catalogs = try Catalog.load(
      options.sources.map(\.path), io: options.io, options: options.tensors, world: world
    ) { checkpoint in
      checkpoint.warnings.forEach(context.warn)
      classified.append(checkpoint)
    }
    return LoadedCheckpoints(catalogs: try command.arranged(catalogs), classified: classified)
  }

  /// Measures norms and hashes of all matrices of each checkpoint.
  private func measure(_ catalogs: [Catalog]) throws -> [MatrixInput] {
    try zip(options.sources, catalogs).map { source, catalog in
      let stage = catalogs.count == 1 ? "norms" : "norms of \(source.name)"
      let shards = OpenShards(catalog, io: options.io)
      let norms = try context.stage(stage) {
        context.sharesEqually()
        return try Norms.measure(catalog, shards: shards, world: world, waiting: { try context.wait(until: $0.test) }) {
          try context.watch.check()
          context.advanced(stage, to: $0)
        }
      }
      return MatrixInput(catalog, norms: norms, shards: shards)
    }
  }

  private func statistics(_ totals: StageTotals, threads: Int) throws -> RunStatistics {
    try context.statistics(
      of: Dictionary(uniqueKeysWithValues: options.sources.map { ($0.name, $0.path.string) }), threads: threads,
      blas: LocalBLAS.description, written: totals.written, resumedMatrices: totals.resumed, rescued: totals.rescued)
  }

  /// Writes the small files. `run.json` comes last but one, before the document that vouches for all files.
  ///
  /// - Returns: the publication that is left to be done, on rank 0; nil on other ranks.
  private func commit(
    _ finished: FinishedWork<Command.Product>, _ statistics: RunStatistics, to output: OutputDirectory
  ) throws -> Publication? {
    try world.agreeing {
      guard world.isRoot else { return nil }
      var documents = try finished.documents()
      documents.insert(
        .init(name: OutputDirectory.runName, content: try Document.encode(statistics)), at: documents.count - 1)
      return try Publication.commit(files: finished.files, documents: documents, in: output)
    }
  }
}

extension RunContext {
  /// Sets the number of BLAS threads, the same on all ranks.
  ///
  /// A run keeps one number from its first process to its last, since threads shape the last bits of a result.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - given: the number that was asked for; nil to divide the available cores among the ranks of a node.
  ///   - begun: the number of threads of the run that is continued; nil for a new run.
  fileprivate func setThreads(_ given: Int?, begun: Int?) throws -> Int {
    let threads = try begun ?? ThreadBudget.agreed(given: given, world)
    if let given, given != threads {
      warn(
        "this run began with \(threads) thread\(threads == 1 ? "" : "s") a process, which shapes last bits, and goes on with as many"
      )
    }
    try BLASThreads.start(threads, on: world)
    return threads
  }
}
