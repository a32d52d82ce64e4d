/// The seconds at which ranks are done with the tasks they have so far, as runs of neighbouring ranks that end together.
///
/// Teams are placed from the largest down, so a window of ranks rarely covers more than a few runs.
struct Skyline {
  /// The ranks from `start` to the start of the next run, which are free from `end` on.
  private struct Run {
    var start: Int
    var end: Double
  }

  private let ranks: Int
  private var runs: [Run]

  /// Makes the skyline of ranks that are all free from second 0 on.
  init(ranks: Int) {
    self.ranks = ranks
    runs = [Run(start: 0, end: 0)]
  }

  /// The second at which each rank is free, by rank.
  var ends: [Double] {
    runs.indices.flatMap { index in repeatElement(runs[index].end, count: limit(of: index) - runs[index].start) }
  }

  /// The window of `count` neighbouring ranks that is free first. Of several, it is the one that has idled least, then the first.
  ///
  /// Only windows that begin or end where a run does are looked at, since one of the best windows is among them.
  ///
  /// - Complexity: O(runs), times the runs in a window.
  func window(of count: Int) -> (start: Int, end: Double) {
    var best = (start: 0, end: Double.infinity, busy: 0.0)
    for index in runs.indices {
      let start = runs[index].start
      if start + count <= ranks { consider(start, count, from: index, &best) }
      let last = limit(of: index)
      guard last >= count else { continue }
      // Go back to the run that holds the first rank of the window which ends where this run ends.
      var first = index
      while runs[first].start > last - count { first -= 1 }
      consider(last - count, count, from: first, &best)
    }
    return (best.start, best.end)
  }

  /// Sets the end of `count` ranks from `start` on.
  mutating func occupy(_ start: Int, _ count: Int, until end: Double) {
    let stop = start + count
    var first = runs.partitioningIndex { $0.start >= start }
    let next = runs.partitioningIndex { $0.start >= stop }
    // The last run that the window touches may reach beyond it, and keeps that part.
    let keepsTail = stop < ranks && (next == runs.count || runs[next].start > stop)
    var fresh = [Run(start: start, end: end)]
    if keepsTail { fresh.append(Run(start: stop, end: runs[next - 1].end)) }
    if first > 0, runs[first - 1].end == end {
      // The left neighbour ends at the same time, so both become one run.
      first -= 1
      fresh[0].start = runs[first].start
    }
    runs.replaceSubrange(first..<next, with: fresh)
  }

  /// Replaces `best` by the window of `count` ranks from `start` on, if that is better. `first` is the run that holds `start`.
  private func consider(
    _ start: Int, _ count: Int, from first: Int, _ best: inout (start: Int, end: Double, busy: Double)
  ) {
    var end = 0.0
    var busy = 0.0
    var index = first
    while index < runs.count, runs[index].start < start + count {
      if runs[index].end > end { end = runs[index].end }
      if end > best.end { return }
      let width = min(limit(of: index), start + count) - max(runs[index].start, start)
      busy += runs[index].end * Double(width)
      index += 1
    }
    if end < best.end || busy > best.busy || busy == best.busy && start < best.start { best = (start, end, busy) }
  }

  /// The rank after the last one of a run.
  private func limit(of index: Int) -> Int { index + 1 < runs.count ? runs[index + 1].start : ranks }
}

extension Array {
  /// The first position whose element satisfies `belongs`, as all elements after it must; `count` if there is none.
  ///
  /// - Complexity: O(log count).
  fileprivate func partitioningIndex(_ belongs: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = low + (high - low) / 2
      if belongs(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
