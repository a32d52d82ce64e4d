import RunCore
import Weights

/// Which ranks do which matrix, and in which order.
///
/// Every rank computes the schedule by itself, without talking. So the numbers it follows from must be the same everywhere: rates and
/// memory limit come from an agreement, and only operations that IEEE 754 defines to the last bit are used.
///
/// Matrices of 3, 2, 2 and 1 seconds on two ranks, by ordinal A to D, are scheduled longest first:
///
///     rank 0  A A A D     tasks in order: A at 0, B at 0, C at 2, D at 3
///     rank 1  B B C C     makespan 4, which is also the lower bound
///
/// Invariants:
/// - Every planned matrix has exactly one task, on neighbouring ranks.
/// - Two tasks that share a rank do not overlap in time.
/// - Every rank does its tasks in the order of ``tasks``, which is one order for all ranks. So of all tasks that have not begun, the first
///   can begin as soon as the running tasks of its members end, and no rank waits for ever.
package struct Schedule: Sendable {
  /// One matrix on a range of ranks.
  package struct Task: Sendable, Equatable {
    /// The ordinal of the matrix.
    package let ordinal: Int
    /// The ranks that share the matrix; one rank for most matrices.
    package let ranks: Range<Int>
    /// The predicted second at which the last of the ranks is done with its earlier tasks, counted from the start of the schedule.
    package let start: Double
    /// The predicted seconds that the task takes.
    package let seconds: Double

    /// The predicted second at which the ranks are free again.
    package var end: Double { start + seconds }
  }

  /// The number of ranks.
  package let ranks: Int
  /// The tasks by start, then by ordinal. Every rank does its own in this order.
  package let tasks: [Task]
  /// The cost of each matrix on its team, by ordinal; zero for a matrix that is not planned.
  package let costs: [MatrixCost]
  /// The predicted second at which the last task ends.
  package let makespan: Double
  /// The seconds that every schedule takes at least.
  ///
  /// It is the work of all matrices on single ranks divided among all ranks, or the fastest way to do the longest matrix.
  package let lowerBound: Double
  /// The rank seconds that all matrices would take on single ranks.
  package let soloSeconds: Double
  /// The rank seconds that the tasks take: the seconds of each, times its ranks.
  package let rankSeconds: Double

  /// The lower bound over the makespan, 0…1.
  package var efficiency: Double { makespan > 0 ? lowerBound / makespan : 1 }

  /// The share of all ranks' time that teams take beyond what their matrices would take on single ranks.
  package var teamLoss: Double { makespan > 0 ? (rankSeconds - soloSeconds) / (makespan * Double(ranks)) : 0 }
  /// The share of all ranks' time in which they wait.
  package var idleShare: Double { makespan > 0 ? max(0, 1 - rankSeconds / (makespan * Double(ranks))) : 0 }

  /// The tasks of one rank, in the order in which it does them.
  ///
  /// - Complexity: O(tasks).
  package func tasks(of rank: Int) -> [Task] { tasks.filter { $0.ranks.contains(rank) } }

  /// The bytes that each rank needs for the matrix of its that needs most, by rank.
  ///
  /// - Parameters:
  ///   - matrices: the matrices that were scheduled, by ordinal.
  ///   - model: the work and the memory limit that they were scheduled with.
  package func bytes(of matrices: [Catalog.Matrix], _ model: MemoryModel) -> [Int] {
    var bytes = [Int](repeating: MemoryModel.base, count: ranks)
    for task in tasks {
      let matrix = matrices[task.ordinal]
      let need = model.bytes(rows: matrix.rows, columns: matrix.columns, team: task.ranks.count) ?? .max
      for rank in task.ranks { bytes[rank] = max(bytes[rank], need) }
    }
    return bytes
  }

  /// Schedules the matrices of a catalog, longest processing time first (Graham 1969).
  ///
  /// A matrix gets a team if it does not fit one rank's memory. Unless its work avoids teams, it also gets one if on one rank it would end
  /// after the time that is aimed at. Several such times between the lower bound and the makespan without teams are tried, and the shortest
  /// schedule is taken.
  ///
  /// - Parameters:
  ///   - matrices: all matrices to do, by ordinal.
  ///   - memory: the work and the memory limit of a rank.
  /// - Throws: ``RunFailure`` that names the matrix which is furthest from fitting in memory, and what would do.
  /// - Complexity: O(count·log + teams·ranks) for each of up to 300 times, a dozen in most cases.
  package init(
    _ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, memory: MemoryModel
  ) throws(RunFailure) {
    let kinds = try MatrixKinds(matrices, ranks: ranks, rates: rates, memory: memory)
    let found = SchedulePlacement.best(kinds, ranks: ranks)
    self.ranks = ranks
    tasks = found.tasks.sorted { ($0.start, $0.ordinal) < ($1.start, $1.ordinal) }
    var costs = [MatrixCost](repeating: .init(basis: 0, operations: 0), count: matrices.count)
    for task in tasks {
      let matrix = matrices[task.ordinal]
      costs[task.ordinal] = memory.work.cost(
        rows: matrix.rows, columns: matrix.columns, team: task.ranks.count, at: rates)
    }
    self.costs = costs
    makespan = found.makespan
    lowerBound = kinds.lowerBound(ranks: ranks)
    soloSeconds = kinds.soloSeconds
    rankSeconds = tasks.reduce(0) { $0 + $1.seconds * Double($1.ranks.count) }
  }

  /// The same schedule for a catalog of `count` matrices, of which only some were planned.
  ///
  /// - Parameter ordinals: the ordinal in that catalog of each matrix that was planned.
  func renumbered(_ ordinals: [Int], of count: Int) -> Schedule { Schedule(self, ordinals, of: count) }

  private init(_ planned: Schedule, _ ordinals: [Int], of count: Int) {
    ranks = planned.ranks
    tasks = planned.tasks.map {
      Task(ordinal: ordinals[$0.ordinal], ranks: $0.ranks, start: $0.start, seconds: $0.seconds)
    }
    var costs = [MatrixCost](repeating: .init(basis: 0, operations: 0), count: count)
    for (cost, ordinal) in zip(planned.costs, ordinals) { costs[ordinal] = cost }
    self.costs = costs
    makespan = planned.makespan
    lowerBound = planned.lowerBound
    soloSeconds = planned.soloSeconds
    rankSeconds = planned.rankSeconds
  }
}

/// The matrices of one shape, and the teams that could do one of them.
struct MatrixKind {
  /// A size of a team, and the seconds it takes for one matrix.
  struct Option {
    let ranks: Int
    let seconds: Double
  }

  var ordinals: [Int]
  /// The seconds that one matrix would take on one rank, whether or not it fits there.
  let soloSeconds: Double
  /// The teams under the memory limit by ascending number of ranks, each faster than the one before; at least one.
  let options: [Option]

  /// The smallest team that needs at most `seconds`; if there is none, the fastest.
  func option(within seconds: Double) -> Option {
    options.first { $0.seconds <= seconds } ?? options[options.count - 1]
  }
}

/// All matrices grouped by shape. A model of tens of thousands of matrices has about a dozen shapes.
struct MatrixKinds {
  /// The kinds, the longest on one rank first; among equals the one whose first matrix comes first.
  private(set) var kinds: [MatrixKind] = []

  /// Groups matrices by shape, and finds the teams of up to `ranks` that can do each under the memory limit.
  ///
  /// - Throws: ``RunFailure`` that names the neediest of the matrices which no team can do.
  init(
    _ matrices: [Catalog.Matrix], ranks: Int, rates: MachineRates, memory: MemoryModel
  ) throws(RunFailure) {
    struct Shape: Hashable { let rows, columns: Int }
    let work = memory.work
    var numbers: [Shape: Int] = [:]
    let sizes = TeamSizes.upTo(ranks)
    var refused: (matrix: Catalog.Matrix, bytes: Int)?
    for (ordinal, matrix) in matrices.enumerated() {
      let shape = Shape(rows: matrix.rows, columns: matrix.columns)
      if let number = numbers[shape] {
        kinds[number].ordinals.append(ordinal)
        continue
      }
      var options: [MatrixKind.Option] = []
      for size in sizes {
        guard let bytes = memory.bytes(rows: matrix.rows, columns: matrix.columns, team: size),
          bytes <= memory.limit
        else { continue }
        let seconds = work.cost(rows: matrix.rows, columns: matrix.columns, team: size, at: rates).total
        // A larger team is an option only if it is at least 3% faster.
        if let last = options.last, seconds > 0.97 * last.seconds { continue }
        options.append(.init(ranks: size, seconds: seconds))
        if work.avoidsTeams(order: min(shape.rows, shape.columns)) { break }
      }
      if options.isEmpty {
        // The neediest matrix is reported, since what makes room for it makes room for all.
        let bytes = memory.bytes(rows: matrix.rows, columns: matrix.columns) ?? .max
        if bytes > refused?.bytes ?? 0 { refused = (matrix, bytes) }
        continue
      }
      numbers[shape] = kinds.count
      kinds.append(
        MatrixKind(
          ordinals: [ordinal],
          soloSeconds: work.cost(rows: matrix.rows, columns: matrix.columns, team: 1, at: rates).total,
          options: options))
    }
    if let refused { throw memory.refusal(of: refused.matrix, ranks: ranks) }
    kinds.sort { ($1.soloSeconds, $0.ordinals[0]) < ($0.soloSeconds, $1.ordinals[0]) }
  }

  /// The number of matrices of all kinds.
  var count: Int { kinds.reduce(0) { $0 + $1.ordinals.count } }

  /// The rank seconds that all matrices would take on single ranks.
  var soloSeconds: Double { kinds.reduce(0) { $0 + $1.soloSeconds * Double($1.ordinals.count) } }

  /// The seconds that every schedule on so many ranks takes at least.
  func lowerBound(ranks: Int) -> Double {
    let longest = kinds.map { kind in min(kind.soloSeconds, kind.options[kind.options.count - 1].seconds) }.max() ?? 0
    return max(soloSeconds / Double(ranks), longest)
  }
}
