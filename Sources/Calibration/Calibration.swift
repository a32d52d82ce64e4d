import Dispatch
import DistSVD
import Execution
import MPI
import Planning
import RunCore
import Synchronization
import SystemPackage

/// Measures the ``MachineRates`` of this machine, with the code that a run uses.
///
/// With several ranks, all of them measure at the same time, as in a run. Then teams of them measure. A rank alone imitates its neighbours
/// by threads, and measures what a team of one loses. The rate at which ranks exchange data then stays built in.
package struct Calibration {
  /// The result of a calibration.
  package struct Outcome: Sendable {
    /// The measured rates, to be stored.
    package let rates: MachineRates
    /// The measurements that the rates of teams were fitted to.
    package let teams: [TeamMeasurement]
  }

  /// The number of BLAS threads of each rank.
  package let threads: Int
  /// The number of ranks of a node that work at the same time, or are imitated.
  package let processes: Int
  private let ranks: Int
  /// The orders of the matrices that are measured, ascending. At the largest usual one the Gram matrix is out of cache.
  private let orders: [Int]
  private let teamOrders: [Int]

  /// A calibration by all ranks of `world`, with `threads` threads each.
  ///
  /// One rank of one thread imitates as many ranks as there are cores, since ranks share memory and clock. BLAS with several threads cannot
  /// be called from several sides at once, so then one rank is measured alone.
  ///
  /// Collective: every rank calls it.
  package init(threads: Int, on world: Communicator) throws {
    let memory = try MemoryBudget.agreed(given: nil, world).bytes
    let neighbours = try world.allReduced(world.splitByNode().size, .maximum)
    self.init(threads: threads, ranks: world.size, neighbours: neighbours, cores: ThreadBudget.cores, memory: memory)
  }

  /// - Parameters:
  ///   - neighbours: the number of ranks of a node.
  ///   - memory: the bytes that each rank may hold.
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

  /// Measures all rates, in about 40 seconds.
  ///
  /// Collective: every rank of `world` calls it.
  ///
  /// - Parameters:
  ///   - scratch: a folder for a file of 256 MB, on the storage that is measured.
  ///   - progress: called on rank 0 with what is measured next.
  /// - Returns: the outcome, the same on every rank.
  /// - Throws: ``RunFailure``, the same on every rank, or `MPIError`.
  package func run(on world: Communicator, scratch: FilePath, progress: (String) -> Void) throws -> Outcome {
    func tell(_ line: String) { if world.isRoot { progress(line) } }
    tell("reading")
    // The ranks of a node share its storage, so one of them is enough. Reading comes first, since it fails where rates cannot be stored.
    let read = try world.agreeing { world.isRoot ? try ReadRate.measure(in: scratch) : 0 }
    try BLASThreads.start(threads, on: world)
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

  /// The rates of a rank alone. All other rates are the built-in ones.
  ///
  /// - Parameter measure: gives the numbers of ``StageRates`` at an order, as the mean over all ranks that work.
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

  /// The numbers of ``StageRates`` for this rank, or the mean over the ranks that it imitates.
  func measure(_ order: Int, clock: BusyClock) throws -> [Double] {
    guard ranks == 1, processes > 1 else { return try StageRates(clock: clock).measure(order: order) }
    let results = Mutex<[Result<[Double], any Error>]>([])
    DispatchQueue.concurrentPerform(iterations: processes) { _ in
      let result = Result { try StageRates(clock: clock).measure(order: order) }
      results.withLock { $0.append(result) }
    }
    return Self.mean(try results.withLock { try $0.map { try $0.get() } })
  }

  /// The mean of each number over all lists.
  private static func mean(_ all: [[Double]]) -> [Double] {
    (all.first ?? []).indices.map { index in all.reduce(0) { $0 + $1[index] } / Double(all.count) }
  }
}
