import ArgumentParser
import DistSVD
import FROGDist

/// The options that say how much work a run is and what it may use.
struct WorkloadOptions: ParsableArguments {
  @Option(help: "f64: scores within 9e-7 of exact; f32: within 2e-3, in three quarters of the time.")
  var precision = Precision.f64

  @Option(
    help: ArgumentHelp("Approximate: only this many leading singular vectors of each matrix.", valueName: "r"))
  var rank: Int?

  @Option(help: ArgumentHelp("Vectors beside those of --rank that the search for them carries.", valueName: "p"))
  var oversample: Int?

  @Option(help: ArgumentHelp("Power iterations of the search for --rank vectors.", valueName: "q"))
  var powerIterations: Int?

  @Option(
    name: [.customLong("memory"), .customLong("memory-per-rank")],
    help: ArgumentHelp(
      "Memory of each process, such as 4GiB or 500MB. (default: four fifths of what the machine has available, divided among its processes)",
      valueName: "bytes"))
  var memory: MemoryAmount?

  @Option(help: "Threads of each process. (default: the machine's cores divided among its processes)")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024") }
    if let rank, !(1...1_000_000).contains(rank) { throw ValidationError("--rank must be from 1 to 1000000") }
    if rank == nil, oversample != nil || powerIterations != nil {
      throw ValidationError("--oversample and --power-iterations belong to --rank")
    }
    if let oversample, !(0...1_000_000).contains(oversample) {
      throw ValidationError("--oversample must be from 0 to 1000000")
    }
    if let powerIterations, !(0...100).contains(powerIterations) {
      throw ValidationError("--power-iterations must be from 0 to 100")
    }
  }

  /// What is done to every matrix.
  var workload: Workload {
    guard let rank else { return Workload(solver: .exact(precision)) }
    return Workload(
      solver: .randomized(rank: rank, oversample: oversample ?? 32, powerIterations: powerIterations ?? 2),
      scoreRank: rank)
  }
}

/// An amount of memory on the command line.
struct MemoryAmount: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    guard let bytes = ByteCount.parse(argument) else { return nil }
    self.bytes = bytes
  }
}
