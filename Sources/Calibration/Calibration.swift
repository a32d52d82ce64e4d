import Planning
import RunCore
import DistSVD
import Dispatch
import MPI
import Synchronization
import SystemPackage

/// Measures ``MachineRates`` of this machine, with the code that a run uses.
///
/// With several ranks, all of them measure at the same time, as in a run, and then teams of them. One rank alone imitates its neighbours by
/// threads, and measures what a team of one loses; what is sent between ranks keeps its built-in numbers.
package struct Calibration {
  /// What was found.
  package struct Outcome: Sendable {
    /// To be stored.
    package let rates: MachineRates
    /// What the rates of teams were fitted to.
    package let teams: [TeamMeasurement]
  }

  /// BLAS threads of a rank.
  package let threads: Int
  /// How many ranks of a node work at the same time, or are imitated.
  package let processes: Int
  private let ranks: Int
  /// Large enough that the Gram matrix is out of cache at the last.
  private let orders: [Int]
  private let teamOrders: [Int]

  /// Calibration by all ranks of `world`, of `threads` threads each.
  ///
  /// With one rank of one thread, as many ranks as there are cores are imitated, since they share memory and clock; BLAS with several threads
  /// cannot be called from several sides at once, so then one is measured alone.
  ///
  /// Collective: every rank calls it.
  package init(threads: Int, on world: Communicator) throws {
    let memory = try MemoryBudget.agreed(given: nil, world)
    let neighbours = try world.allReduced(world.splitByNode().size, .maximum)
    self.init(threads: threads, ranks: world.size, neighbours: neighbours, cores: ThreadBudget.cores, memory: memory)
  }

  /// - Parameters:
  ///   - neighbours: ranks of a node.
  ///   - memory: bytes of each rank.
  init(
    threads: Int, ranks: Int, neighbours: Int, cores: Int, memory: Int, orders: [Int] = [256, 1024, 4096],
    teamOrders: [Int] = [1024, 2048]
  ) {
    func bytes(_ order: Int) -> Int { 32 * order * order + (128 << 20) }
    func fitting(_ orders: [Int]) -> [Int] {
      let fitting = orders.filter { bytes($0) <= memory }
      return fitting.isEmpty ? Array(orders.prefix(1)) : fitting
    }
    self.threads = threads
    self.ranks = ranks
    self.orders = fitting(orders)
    self.teamOrders = fitting(teamOrders)
    let room = max(1, memory / bytes(self.orders.max() ?? 1))
    let imitated = threads == 1 ? max(1, min(cores, room)) : 1
    processes = ranks > 1 ? neighbours : imitated
  }

  /// Measures; takes about 40 seconds.
  ///
  /// Collective: every rank of `world` calls it.
  ///
  /// - Parameters:
  ///   - scratch: a folder for a file of 256 MB, on the storage that is measured.
  ///   - progress: called on rank 0 with what is measured next.
  /// - Returns: the same on every rank.
  /// - Throws: ``RunFailure``, the same on every rank, or `MPIError`.
  package func run(on world: Communicator, scratch: FilePath, progress: (String) -> Void) throws -> Outcome {
    func tell(_ line: String) { if world.isRoot { progress(line) } }
    tell("reading")
    // A node's ranks share its storage: one of them is enough. First, since it fails where rates cannot be stored.
    let read = try world.agreeing { world.isRoot ? try ReadRate.measure(in: scratch) : 0 }
    LocalBLAS.useThreads(threads)
    let clock = BusyClock(isSingleThreaded: threads == 1)
    var rates = try stages(progress: tell) { order in
      let own = try world.agreeing { try measure(order, clock: clock) }
      return try Self.mean(world.allGather(own))
    }
    let teams = try TeamTimes(world: world, clock: clock, orders: teamOrders).measure(progress: tell)
    let exchange = world.size > 1 ? try ExchangeRate.measure(world, clock: clock) : nil
    rates.teams = MachineRates.TeamRates(fittedTo: teams, exchange: exchange)
    rates.readBytesPerSecond = try world.allReduced(read, .maximum)
    return Outcome(rates: rates, teams: teams)
  }

  /// The rates of a rank alone, the others built in.
  ///
  /// - Parameter measure: the numbers of ``StageRates`` at an order, the mean of all ranks that work.
  func stages(progress: (String) -> Void, measure: (Int) throws -> [Double]) rethrows -> MachineRates {
    var rates = MachineRates.standard
    rates.threads = threads
    rates.processes = processes
    rates.source = LocalBLAS.description
    var points: [[(order: Int, perSecond: Double)]] = Array(repeating: [], count: 5)
    for order in orders {
      progress("order \(order)")
      for (index, rate) in try measure(order).enumerated() { points[index].append((order, rate)) }
    }
    (rates.gramDouble, rates.eigensolverDouble) = (RateCurve(points[0]), RateCurve(points[1]))
    (rates.gramSingle, rates.eigensolverSingle) = (RateCurve(points[2]), RateCurve(points[3]))
    rates.scores = RateCurve(points[4])
    return rates
  }

  /// The numbers of this rank, or of those that it imitates.
  func measure(_ order: Int, clock: BusyClock) throws -> [Double] {
    guard ranks == 1, processes > 1 else { return try StageRates(clock: clock).measure(order: order) }
    let results = Mutex<[Result<[Double], any Error>]>([])
    DispatchQueue.concurrentPerform(iterations: processes) { _ in
      let result = Result { try StageRates(clock: clock).measure(order: order) }
      results.withLock { $0.append(result) }
    }
    return Self.mean(try results.withLock { try $0.map { try $0.get() } })
  }

  /// The mean of each number.
  private static func mean(_ all: [[Double]]) -> [Double] {
    (all.first ?? []).indices.map { index in all.reduce(0) { $0 + $1[index] } / Double(all.count) }
  }
}
