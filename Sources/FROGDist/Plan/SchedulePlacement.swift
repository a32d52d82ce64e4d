import HeapModule

/// A schedule in the making: tasks put on ranks one after the other.
struct SchedulePlacement {
  private(set) var tasks: [Schedule.Task] = []
  /// When each rank is done with what it has so far.
  private var free: [Double]

  var makespan: Double { free.max() ?? 0 }

  /// The shortest of several schedules.
  ///
  /// The time aimed at decides who gets a team; makespan is no monotone function of it, so a geometric grid is searched, then
  /// twice the neighbourhood of the best.
  static func best(_ kinds: MatrixKinds, ranks: Int) -> SchedulePlacement {
    var best = SchedulePlacement(kinds, ranks: ranks, aim: .infinity)
    let bound = kinds.lowerBound(ranks: ranks)
    guard ranks > 1, bound > 0, kinds.kinds.contains(where: { $0.options.count > 1 }) else { return best }
    // Good enough to stop: what is left is less than predictions are worth.
    let enough = bound * 1.01
    var low = bound
    var ratio = max(best.makespan / bound, 1)
    for _ in 0..<3 where best.makespan > enough {
      // The sixteenth root by square roots: `pow` may differ in the last bit between machines.
      let step = ratio.squareRoot().squareRoot().squareRoot().squareRoot()
      var aim = low
      var bestAim = low
      for _ in 0..<16 where best.makespan > enough {
        let found = SchedulePlacement(kinds, ranks: ranks, aim: aim)
        if found.makespan < best.makespan {
          best = found
          bestAim = aim
        }
        aim *= step
      }
      low = max(bestAim / step, bound)
      ratio = step * step
    }
    return best
  }

  /// Places all matrices: teams first, then single ranks by longest processing time, then, in teams again, what would end
  /// after `aim` on one rank.
  private init(_ kinds: MatrixKinds, ranks: Int, aim: Double) {
    free = [Double](repeating: 0, count: ranks)
    tasks.reserveCapacity(kinds.kinds.reduce(0) { $0 + $1.ordinals.count })
    let chosen = kinds.kinds.map { (kind: $0, option: $0.option(within: aim)) }
    let teams = chosen.filter { $0.option.ranks > 1 }.sorted {
      ($1.option.ranks, $1.option.seconds, $0.kind.ordinals[0]) < ($0.option.ranks, $0.option.seconds, $1.kind.ordinals[0])
    }
    for (kind, option) in teams {
      for ordinal in kind.ordinals { place(ordinal, option, at: window(of: option.ranks)) }
    }
    let late = placeSingles(chosen.filter { $0.option.ranks == 1 }.map(\.kind), aim: aim)
    if !late.isEmpty { placeLate(late, aim: aim) }
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

  /// The smallest team that ends by `aim`, or else the one that ends first, on aligned blocks of two, four, … ranks.
  private mutating func placeLate(_ late: [(ordinal: Int, kind: MatrixKind)], aim: Double) {
    for (ordinal, kind) in late {
      var choice: (option: MatrixKind.Option, start: Int, end: Double)?
      for option in kind.options.prefix(while: { $0.ranks <= Self.largestLateTeam }) {
        guard let block = block(of: option.ranks) else { continue }
        let end = block.free + option.seconds
        if end < choice?.end ?? .infinity { choice = (option, block.start, end) }
        if end <= aim { break }
      }
      if let choice { place(ordinal, choice.option, at: choice.start) }
    }
  }

  /// Larger ones rarely pay at the end, and each size is another pass over all ranks.
  private static let largestLateTeam = 32

  private mutating func place(_ ordinal: Int, _ option: MatrixKind.Option, at first: Int) {
    let members = first..<first + option.ranks
    let start = option.ranks == 1 ? free[first] : free[members].max() ?? 0
    tasks.append(.init(ordinal: ordinal, ranks: members, start: start, seconds: option.seconds))
    for rank in members { free[rank] = start + option.seconds }
  }

  /// The aligned block of `count` ranks that is free first.
  private func block(of count: Int) -> (start: Int, free: Double)? {
    var best: (start: Int, free: Double)?
    for start in stride(from: 0, through: free.count - count, by: count) {
      var end = free[start]
      for rank in start + 1..<start + count where free[rank] > end { end = free[rank] }
      if end < best?.free ?? .infinity { best = (start, end) }
    }
    return best
  }

  /// The first rank of the window of `count` neighbours that is free first; of several the one that has idled least.
  private func window(of count: Int) -> Int {
    // The largest of each window, from a queue of candidates in descending order.
    var candidates: [Int] = []
    var head = 0
    var sum = 0.0
    var best = (start: 0, free: Double.infinity, sum: 0.0)
    for rank in free.indices {
      while candidates.count > head, free[candidates[candidates.count - 1]] <= free[rank] { candidates.removeLast() }
      candidates.append(rank)
      sum += free[rank]
      let start = rank - count + 1
      guard start >= 0 else { continue }
      if candidates[head] < start { head += 1 }
      let latest = free[candidates[head]]
      if latest < best.free || latest == best.free && sum > best.sum { best = (start, latest, sum) }
      sum -= free[start]
    }
    return best.start
  }

  private struct Load: Comparable {
    let rank: Int
    let end: Double

    static func < (a: Load, b: Load) -> Bool { (a.end, a.rank) < (b.end, b.rank) }
  }
}
