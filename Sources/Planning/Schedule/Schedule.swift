import Weights
import RunCore

/// Which ranks decompose which matrix, and when.
///
/// Every rank computes it from the same numbers, without talking, so those numbers must be the same everywhere: rates
/// and memory limit come from an agreement. Only operations that IEEE 754 defines to the last bit are used.
package struct Schedule: Sendable {
  /// One matrix on a range of ranks.
  package struct Task: Sendable, Equatable {
    /// Of the matrix in the catalog.
    package let ordinal: Int
    /// Its team; one rank for most.
    package let ranks: Range<Int>
    /// When the last of its ranks is done with its earlier tasks, from the first task's start.
    package let start: Double
    /// Predicted.
    package let seconds: Double

    /// When its ranks are free again.
    package var end: Double { start + seconds }
  }

  /// How many ranks there are.
  package let ranks: Int
  /// In the order in which every rank works through those of its own: by start, then by ordinal.
  ///
  /// The order is one for all ranks, so of all tasks that have not begun, the first has every member free: no rank waits in vain.
  package let tasks: [Task]
  /// The cost of each matrix by ordinal, on its team.
  package let costs: [MatrixCost]
  /// The end of the last task.
  package let makespan: Double
  /// No schedule ends before: the work of all matrices on single ranks divided among all, or the fastest way to do the
  /// longest matrix.
  package let lowerBound: Double
  /// Rank seconds that all matrices would take on ranks of their own.
  package let soloSeconds: Double
  /// Rank seconds that the tasks take.
  package let rankSeconds: Double

  /// Lower bound over makespan, 0…1.
  package var efficiency: Double { makespan > 0 ? lowerBound / makespan : 1 }

  /// The share of all ranks' time that teams take beyond what their matrices would take on single ranks.
  package var teamLoss: Double { makespan > 0 ? (rankSeconds - soloSeconds) / (makespan * Double(ranks)) : 0 }
  /// The share of all ranks' time in which they wait.
  package var idleShare: Double { makespan > 0 ? max(0, 1 - rankSeconds / (makespan * Double(ranks))) : 0 }

  /// A rank's tasks in its order.
  ///
  /// - Complexity: O(tasks).
  package func tasks(of rank: Int) -> [Task] { tasks.filter { $0.ranks.contains(rank) } }

  /// Plans the matrices of a catalog.
  ///
  /// Longest processing time first (Graham 1969). A matrix gets a team if it does not fit one rank's memory, or if on one
  /// rank it would end after the time that is aimed at; several such times between lower bound and the makespan without
  /// teams are tried, and the shortest schedule is taken.
  ///
  /// - Parameters:
  ///   - matrices: by ordinal.
  /// - Throws: ``RunFailure`` naming the matrix that is furthest from fitting in memory, and what would do.
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

  /// The same for a catalog of `count` matrices, of which these were planned.
  ///
  /// - Parameter ordinals: in the catalog, of each matrix that was planned.
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

/// Matrices of one shape, and the teams that could do one of them.
struct MatrixKind {
  /// A team size and how long it takes.
  struct Option {
    let ranks: Int
    let seconds: Double
  }

  var ordinals: [Int]
  /// Seconds on one rank, whether or not it fits there.
  let soloSeconds: Double
  /// Fewest ranks first, each faster than the one before; at least one.
  let options: [Option]

  /// The smallest team that needs at most `seconds`, or the fastest.
  func option(within seconds: Double) -> Option {
    options.first { $0.seconds <= seconds } ?? options[options.count - 1]
  }
}

/// All matrices by shape: a model of tens of thousands has a dozen shapes.
struct MatrixKinds {
  private(set) var kinds: [MatrixKind] = []

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
        // A larger team must be worth the ranks it takes.
        if let last = options.last, seconds > 0.97 * last.seconds { continue }
        options.append(.init(ranks: size, seconds: seconds))
        if work.avoidsTeams(order: min(shape.rows, shape.columns)) { break }
      }
      if options.isEmpty {
        // The neediest is reported: what makes room for it makes room for all.
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
    // The longest first; among equals the one whose first matrix comes first.
    kinds.sort { ($1.soloSeconds, $0.ordinals[0]) < ($0.soloSeconds, $1.ordinals[0]) }
  }

  /// How many matrices there are.
  var count: Int { kinds.reduce(0) { $0 + $1.ordinals.count } }

  var soloSeconds: Double { kinds.reduce(0) { $0 + $1.soloSeconds * Double($1.ordinals.count) } }

  func lowerBound(ranks: Int) -> Double {
    let longest = kinds.map { kind in min(kind.soloSeconds, kind.options[kind.options.count - 1].seconds) }.max() ?? 0
    return max(soloSeconds / Double(ranks), longest)
  }
}
