import Execution
import Glibc
import MPI
import Planning
import RunCore
import SystemPackage
import Weights

/// A whole command: counts the zeros of every matrix, with a plan, teams, a journal, and resume on any number of ranks.
struct ZeroCount: MatrixCommand {
  static let kind = OutputKind(ZeroSummary.self) { summary, now in
    RunIdentity(
      version: "1", options: summary.parameters.words, threads: summary.threads,
      sources: ["checkpoint": summary.checkpoint], now: now)
  }

  let options: RunOptions

  func prepare(_ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext) throws {
    _ = try planner.schedule(checkpoints.catalogs[0].matrices, CountWork())
  }

  func words(_: inout Void, _: [MatrixInput], threads: Int, in _: RunContext) -> OptionWords {
    TensorParameters(options.tensors, threads: threads).words
  }

  func work(_: Void, _ run: BegunRun) throws -> FinishedWork<ZeroSummary> {
    let input = run.inputs[0]
    let counted = try MatrixStage("zeros", of: CountZeros(), over: run.inputs).run(CountWork(), in: run)
    let summary = ZeroSummary(
      parameters: TensorParameters(options.tensors, threads: run.threads),
      checkpoint: CheckpointSource(input.catalog, input.norms),
      zeros: Dictionary(uniqueKeysWithValues: zip(input.catalog.names, counted.rows.map(\.zeros))))
    return FinishedWork(summary, totals: counted.totals) { try summary.published() }
  }

  func product(in path: FilePath, world: Communicator) throws -> ZeroSummary {
    try ZeroSummary.read(in: path, world: world)
  }
}

/// What is done to one matrix: each member of a team counts in its own rows.
struct CountZeros: MatrixMeasurement {
  struct Row: MatrixRow {
    let ordinal: Int
    let zeros: Int
    var rescue: String? { nil }
  }

  func measure(_ task: MatrixTask) throws -> Row {
    let (rows, columns) = (task.matrix.rows, task.matrix.columns)
    var line = [Float](repeating: 0, count: columns)
    let own = try task.locally {
      try stride(from: task.member, to: rows, by: task.memberCount).reduce(0) { zeros, row in
        try line.withUnsafeMutableBufferPointer {
          try task.source.read(rows: row..<row + 1, columns: 0..<columns, into: $0)
        }
        return zeros + line.count { $0 == 0 }
      }
    }
    return Row(ordinal: task.ordinal, zeros: try task.summed([own])[0])
  }
}

/// What that takes: a look at every weight, and one row in memory.
struct CountWork: MatrixWork {
  func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
    MatrixCost(basis: 2e-9 * Double(rows) * Double(columns) / Double(team), operations: 0)
  }

  func bytes(rows: Int, columns: Int, team: Int) -> Double? { 4 * Double(columns) }
  func avoidsTeams(order: Int) -> Bool { false }
  func solverName(order: Int) -> String { "none" }
}

/// What comes out.
struct ZeroSummary: SummaryDocument {
  static let formatName = "frog-zeros"
  static let currentFormatVersion = 1
  static let command = "zeros"

  var format = Self.formatName
  var formatVersion = Self.currentFormatVersion
  let parameters: TensorParameters
  let checkpoint: CheckpointSource
  /// By name of the matrix.
  let zeros: [String: Int]

  var threads: Int { parameters.threads }
}

/// `mpirun -n 3 example-command CHECKPOINT OUT [--resume] [--keep-work]`
@main
struct ExampleCommand {
  static func run(_ arguments: [String], on world: Communicator, at site: LaunchSite) throws {
    let watch = try StopWatch(rank: world.rank, of: world.size, limits: .init()) { _ in }
    defer { watch.end() }
    let output = OutputOptions(
      FilePath(arguments[2]), resume: arguments.contains("--resume"), keepWork: arguments.contains("--keep-work"))
    let command = ZeroCount(options: RunOptions(checkpoint: FilePath(arguments[1]), output: output, threads: 1))
    _ = try CommandRun(
      command,
      in: RunContext(
        on: world, observer: SilentObserver(), version: "1", watch: watch, kinds: [ZeroCount.kind], site: site))()
  }

  static func main() {
    let site = LaunchSite.look()
    exit(
      MPI.run { world in
        do { try run(CommandLine.arguments, on: world, at: site) } catch let failure as RunFailure {
          if world.isRoot { print(failure.message) }
          return 1
        }
        return 0
      })
  }
}
