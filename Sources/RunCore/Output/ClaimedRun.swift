import MPI
import ShardIO
import SystemPackage

/// A run's hold on its output directory, from before the first weight is read until the results have their names.
///
/// A command runs inside ``holding(_:_:checkpoints:world:watch:_:)``. There it calls ``begins(_:)`` once its identity is known, does its
/// work, and calls ``publish(_:)`` at the end.
package struct ClaimedRun {
  let output: OutputDirectory
  let world: Communicator
  let watch: StopWatch
  private let options: OutputOptions
  /// The claim on the directory; nil on all ranks but rank 0.
  private let claim: OutputClaim?

  /// Takes the output directory for as long as `body` runs.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter checkpoints: the paths of the input, which must lie elsewhere.
  /// - Throws: ``RunFailure`` if the directory cannot be taken, and what `body` throws. If there is something to resume by then, it is
  ///   kept, and the message says how to go on unless the command line is at fault or the run was stopped. Otherwise the work folder goes.
  package static func holding<Value>(
    _ output: OutputDirectory, _ options: OutputOptions, checkpoints: [FilePath], world: Communicator, watch: StopWatch,
    _ body: (ClaimedRun) throws -> Value
  ) throws -> Value {
    let claim = try world.agreeing {
      guard world.isRoot else { return OutputClaim?.none }
      let claim = try output.claim(overwrite: options.overwrite, resume: options.resume, checkpoints: checkpoints)
      try watch.clear(output.work)
      return claim
    }
    watch.use(output.work)
    do {
      let run = ClaimedRun(output: output, world: world, watch: watch, options: options, claim: claim)
      try run.checkVisible()
      return try body(run)
    } catch let failure as RunFailure {
      guard let claim, claim.abandon(), failure.kind != .usage, failure.kind != .stopped else { throw failure }
      throw RunFailure(
        failure.kind, "\(failure.message); what is finished is kept: go on with the same command and --resume")
    }
  }

  /// Compares the run with what lies in the folder, and publishes what an earlier process has committed.
  ///
  /// Collective: every rank calls it, before any record of a journal is written.
  ///
  /// - Parameters:
  ///   - planned: the bytes that each rank needs at most, by rank.
  ///   - warn: is called if the kernel seems to have killed an earlier process of the run for lack of memory.
  /// - Returns: whether there is any work left to do.
  /// - Throws: ``RunFailure`` that names each difference, if what lies there is of another run.
  package func begins(_ identity: RunIdentity, planned: [Int], warn: (String) -> Void) throws -> Bool {
    let state = try RunStart(identity, in: output, replaces: options.overwrite).settle(claim, world: world)
    switch state {
    case .fresh, .unfinished:
      let watch = MemoryWatch(in: output, on: world)
      if state == .unfinished { try watch.tellOfKills(warn) }
      try watch.begin(planned: planned)
      return true
    case .finished:
      return false
    case .committed:
      try publish(world.agreeing { world.isRoot ? try Publication.read(from: output) : nil })
      return false
    }
  }

  /// Gives the finished files their names, and removes the work folder unless it is to be kept. From here on nothing stops the run.
  ///
  /// Collective: every rank calls it. Only rank 0's `publication` counts; it is nil on the others.
  package func publish(_ publication: Publication?) throws {
    try world.agreeing { try watch.disarm() }
    try world.agreeing {
      guard let publication, let claim else { return }
      try publication.apply(to: claim.directory)
      if options.keepWork { claim.release() } else { try claim.remove() }
    }
  }

  /// Checks that every rank sees the work folder that rank 0 has made.
  private func checkVisible() throws {
    try world.agreeing {
      guard try !Folder.exists(output.work) else { return }
      throw RunFailure(.io, OutputProbe.notShared(output.path, hosts: [HostName.own]).sentence)
    }
  }
}
