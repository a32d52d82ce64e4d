import HeapModule
import RunCore

/// A schedule in the making: tasks are put on ranks one after the other.
struct SchedulePlacement {
  private(set) var tasks: [Schedule.Task] = []
  /// The second at which each rank is done with the tasks it has so far.
  private var free: [Double]
  /// Whether a matrix that was meant for one rank would have ended there after the time that is aimed at.
  private var hasLate = false

  /// The second at which the last task ends.
  var makespan: Double { free.max() ?? 0 }

  /// Makes several schedules and returns the shortest.
  ///
  /// Two numbers decide which matrices get a team: the time at which all should be done, and the number of rounds of equal teams. The
  /// makespan is no monotone function of either number. So a grid of times is searched, then twice the neighbourhood of the best.
  static func best(_ kinds: MatrixKinds, ranks: Int) -> SchedulePlacement {
    var best = SchedulePlacement(TeamChoice(kinds, aim: .infinity, rounds: 1), ranks: ranks)
    let bound = kinds.lowerBound(ranks: ranks)
    guard ranks > 1, bound > 0, kinds.kinds.contains(where: { $0.options.count > 1 }) else { return best }
    // With many matrices for each rank, the last ones even out the differences, and further rounds gain nothing.
    let mostRounds = kinds.count < 8 * ranks ? 6 : 1
    for rounds in 1...mostRounds where rounds == 1 || best.makespan > bound * 1.05 {
      best.improve(kinds, ranks: ranks, bound: bound, rounds: rounds)
    }
    return best
  }

  /// Replaces this schedule by a shorter one of so many rounds, if it finds one.
  private mutating func improve(_ kinds: MatrixKinds, ranks: Int, bound: Double, rounds: Int) {
    // A schedule within 1% of the bound is good enough, since predictions are less accurate than that.
    let enough = bound * 1.01
    var low = bound
    var tried: Set<[Int]> = []
    var ratio = max(makespan / bound, 1)
    for _ in 0..<3 where makespan > enough {
      // The sixteenth root is taken by square roots, since `pow` may differ in the last bit between machines.
      let step = ratio.squareRoot().squareRoot().squareRoot().squareRoot()
      var aim = low
      var bestAim = low
      for _ in 0..<16 where makespan > enough {
        let choice = TeamChoice(kinds, aim: aim, rounds: rounds)
        if !tried.contains(choice.sizes), choice.lowerBound(ranks: ranks) < makespan {
          let found = SchedulePlacement(choice, ranks: ranks)
          // If no matrix was late, the same teams give the same schedule for any later aim.
          if !found.hasLate { tried.insert(choice.sizes) }
          if found.makespan < makespan {
            self = found
            bestAim = aim
          }
        }
        aim *= step
      }
      low = max(bestAim / step, bound)
      ratio = step * step
    }
  }

  /// Places all matrices.
  private init(_ choice: TeamChoice, ranks: Int) {
    free = []
    tasks.reserveCapacity(choice.chosen.reduce(0) { $0 + $1.kind.ordinals.count })
    // 1. Matrices that were given teams, from the largest team down.
    let teams = choice.chosen.filter { $0.option.ranks > 1 }.sorted {
      ($1.option.ranks, $1.option.seconds, $0.kind.ordinals[0])
        < ($0.option.ranks, $0.option.seconds, $1.kind.ordinals[0])
    }
    var skyline = Skyline(ranks: ranks)
    for (kind, option) in teams {
      for ordinal in kind.ordinals {
        let (first, start) = skyline.window(of: option.ranks)
        tasks.append(
          .init(ordinal: ordinal, ranks: first..<first + option.ranks, start: start, seconds: option.seconds))
        skyline.occupy(first, option.ranks, until: start + option.seconds)
      }
    }
    // 2. Matrices on single ranks, longest processing time first.
    free = skyline.ends
    let late = placeSingles(choice.chosen.filter { $0.option.ranks == 1 }.map(\.kind), aim: choice.aim)
    hasLate = !late.isEmpty
    // 3. Matrices that would end too late on a single rank, in teams.
    if hasLate { placeLate(late, aim: choice.aim) }
  }

  /// Places matrices on single ranks: the longest first, each on the rank that is free first.
  ///
  /// - Returns: the matrices that would have ended after `aim` and can have a team, the longest first. They are not placed.
  private mutating func placeSingles(_ kinds: [MatrixKind], aim: Double) -> [(ordinal: Int, kind: MatrixKind)] {
    var late: [(ordinal: Int, kind: MatrixKind)] = []
    var loads = Heap(free.indices.map { Load(rank: $0, end: free[$0]) })
    for kind in kinds {
      let option = kind.options[0]
      for ordinal in kind.ordinals {
        guard let least = loads.min else { return late }
        if least.end + option.seconds > aim, kind.options.count > 1 {
          late.append((ordinal, kind))
          continue
        }
        place(ordinal, option, at: least.rank)
        loads.replaceMin(with: Load(rank: least.rank, end: free[least.rank]))
      }
    }
    return late
  }

  /// Places each matrix on the smallest team that ends by `aim`, or else on the one that ends first.
  ///
  /// A team of t ranks takes a block of t ranks that begins at a multiple of t.
  private mutating func placeLate(_ late: [(ordinal: Int, kind: MatrixKind)], aim: Double) {
    var blocks: [Int: Heap<Load>] = [:]
    for (ordinal, kind) in late {
      var choice: (option: MatrixKind.Option, start: Int, end: Double)?
      for option in kind.options.prefix(while: { $0.ranks <= Self.largestLateTeam }) {
        guard let block = firstFree(option.ranks, &blocks[option.ranks, default: allBlocks(of: option.ranks)]) else {
          continue
        }
        let end = block.end + option.seconds
        if end < choice?.end ?? .infinity { choice = (option, block.rank, end) }
        if end <= aim { break }
      }
      if let choice { place(ordinal, choice.option, at: choice.start) }
    }
  }

  /// The largest team that a late matrix gets. Larger ones rarely pay at the end of a schedule.
  private static let largestLateTeam = 32

  private mutating func place(_ ordinal: Int, _ option: MatrixKind.Option, at first: Int) {
    let members = first..<first + option.ranks
    let start = option.ranks == 1 ? free[first] : free[members].max() ?? 0
    tasks.append(.init(ordinal: ordinal, ranks: members, start: start, seconds: option.seconds))
    for rank in members { free[rank] = start + option.seconds }
  }

  /// The second at which all of the `count` ranks from `rank` on are free.
  private func end(of rank: Int, _ count: Int) -> Double {
    var end = free[rank]
    for member in rank + 1..<rank + count where free[member] > end { end = free[member] }
    return end
  }

  /// All blocks of `count` ranks that begin at a multiple of `count`, by when they are free.
  private func allBlocks(of count: Int) -> Heap<Load> {
    Heap(stride(from: 0, through: free.count - count, by: count).map { Load(rank: $0, end: end(of: $0, count)) })
  }

  /// The block of `count` ranks that is free first; nil if there are fewer ranks.
  ///
  /// The ends in `blocks` may be out of date, but they are never too late, since a block's end only grows. So the first block whose end
  /// has not changed is the one.
  private func firstFree(_ count: Int, _ blocks: inout Heap<Load>) -> Load? {
    while let first = blocks.min {
      let now = Load(rank: first.rank, end: end(of: first.rank, count))
      if now.end == first.end { return first }
      blocks.replaceMin(with: now)
    }
    return nil
  }

  /// A block of ranks, ordered by when it is free, then by its first rank.
  private struct Load: Comparable {
    /// The first rank of the block.
    let rank: Int
    /// The second at which the block is free.
    let end: Double

    static func < (a: Load, b: Load) -> Bool { (a.end, a.rank) < (b.end, b.rank) }
  }
}

/// The choice of a team for the matrices of each shape.
private struct TeamChoice {
  /// The time at which all should be done, in seconds.
  let aim: Double
  let chosen: [(kind: MatrixKind, option: MatrixKind.Option)]

  /// Chooses for each shape the smallest team that does a matrix in one of so many rounds of the time `aim`.
  init(_ kinds: MatrixKinds, aim: Double, rounds: Int) {
    self.aim = aim
    chosen = kinds.kinds.map { ($0, $0.option(within: aim / Double(rounds))) }
  }

  var sizes: [Int] { chosen.map(\.option.ranks) }

  /// The seconds that a schedule with these teams, or larger ones, takes at least.
  func lowerBound(ranks: Int) -> Double {
    chosen.reduce(0) { $0 + Double($1.kind.ordinals.count * $1.option.ranks) * $1.option.seconds } / Double(ranks)
  }
}
