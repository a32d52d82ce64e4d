import RunCore
import HeapModule

/// A schedule in the making: tasks put on ranks one after the other.
struct SchedulePlacement {
  private(set) var tasks: [Schedule.Task] = []
  /// When each rank is done with what it has so far.
  private var free: [Double]
  /// Whether a matrix that was meant for one rank would have ended there after the time aimed at.
  private var hasLate = false

  var makespan: Double { free.max() ?? 0 }

  /// The shortest of several schedules.
  ///
  /// Two numbers decide who gets a team: when all should be done, and in how many rounds of equal teams. The makespan is no
  /// monotone function of either, so a grid is searched, then twice the neighbourhood of the best.
  static func best(_ kinds: MatrixKinds, ranks: Int) -> SchedulePlacement {
    var best = SchedulePlacement(TeamChoice(kinds, aim: .infinity, rounds: 1), ranks: ranks)
    let bound = kinds.lowerBound(ranks: ranks)
    guard ranks > 1, bound > 0, kinds.kinds.contains(where: { $0.options.count > 1 }) else { return best }
    // With many matrices to a rank, the last ones even out what is left.
    let mostRounds = kinds.count < 8 * ranks ? 6 : 1
    for rounds in 1...mostRounds where rounds == 1 || best.makespan > bound * 1.05 {
      best.improve(kinds, ranks: ranks, bound: bound, rounds: rounds)
    }
    return best
  }

  /// Replaces this schedule by a shorter one of so many rounds, if there is one.
  private mutating func improve(_ kinds: MatrixKinds, ranks: Int, bound: Double, rounds: Int) {
    // Good enough to stop: what is left is less than predictions are worth.
    let enough = bound * 1.01
    var low = bound
    var tried: Set<[Int]> = []
    var ratio = max(makespan / bound, 1)
    for _ in 0..<3 where makespan > enough {
      // The sixteenth root by square roots: `pow` may differ in the last bit between machines.
      let step = ratio.squareRoot().squareRoot().squareRoot().squareRoot()
      var aim = low
      var bestAim = low
      for _ in 0..<16 where makespan > enough {
        let choice = TeamChoice(kinds, aim: aim, rounds: rounds)
        if !tried.contains(choice.sizes), choice.lowerBound(ranks: ranks) < makespan {
          let found = SchedulePlacement(choice, ranks: ranks)
          // Then a later aim changes nothing.
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

  /// Places all matrices: teams first, then single ranks by longest processing time, then, in teams again, what would end
  /// after the time aimed at on one rank.
  private init(_ choice: TeamChoice, ranks: Int) {
    free = []
    tasks.reserveCapacity(choice.chosen.reduce(0) { $0 + $1.kind.ordinals.count })
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
    free = skyline.ends
    let late = placeSingles(choice.chosen.filter { $0.option.ranks == 1 }.map(\.kind), aim: choice.aim)
    hasLate = !late.isEmpty
    if hasLate { placeLate(late, aim: choice.aim) }
  }

  /// Longest processing time first on single ranks.
  ///
  /// - Returns: what would have ended after `aim`, by longest time.
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

  /// The smallest team that ends by `aim`, or else the one that ends first, on aligned blocks of as many ranks.
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

  /// Larger ones rarely pay at the end.
  private static let largestLateTeam = 32

  private mutating func place(_ ordinal: Int, _ option: MatrixKind.Option, at first: Int) {
    let members = first..<first + option.ranks
    let start = option.ranks == 1 ? free[first] : free[members].max() ?? 0
    tasks.append(.init(ordinal: ordinal, ranks: members, start: start, seconds: option.seconds))
    for rank in members { free[rank] = start + option.seconds }
  }

  /// When the members of a block starting at `rank` are all free.
  private func end(of rank: Int, _ count: Int) -> Double {
    var end = free[rank]
    for member in rank + 1..<rank + count where free[member] > end { end = free[member] }
    return end
  }

  private func allBlocks(of count: Int) -> Heap<Load> {
    Heap(stride(from: 0, through: free.count - count, by: count).map { Load(rank: $0, end: end(of: $0, count)) })
  }

  /// The block of `count` ranks that is free first.
  ///
  /// What `blocks` remembers may be out of date, but never too late: a block's end only grows. So the first that has not changed is it.
  private func firstFree(_ count: Int, _ blocks: inout Heap<Load>) -> Load? {
    while let first = blocks.min {
      let now = Load(rank: first.rank, end: end(of: first.rank, count))
      if now.end == first.end { return first }
      blocks.replaceMin(with: now)
    }
    return nil
  }

  private struct Load: Comparable {
    /// The first of a block.
    let rank: Int
    let end: Double

    static func < (a: Load, b: Load) -> Bool { (a.end, a.rank) < (b.end, b.rank) }
  }
}

/// The team that the matrices of each shape get.
private struct TeamChoice {
  let aim: Double
  let chosen: [(kind: MatrixKind, option: MatrixKind.Option)]

  /// Teams that do a matrix within its part of the time aimed at.
  init(_ kinds: MatrixKinds, aim: Double, rounds: Int) {
    self.aim = aim
    chosen = kinds.kinds.map { ($0, $0.option(within: aim / Double(rounds))) }
  }

  var sizes: [Int] { chosen.map(\.option.ranks) }

  /// No schedule with these teams, or larger ones, ends before.
  func lowerBound(ranks: Int) -> Double {
    chosen.reduce(0) { $0 + Double($1.kind.ordinals.count * $1.option.ranks) * $1.option.seconds } / Double(ranks)
  }
}
