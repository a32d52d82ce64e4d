import MPI

func checkGroup(_ world: Communicator, _ e: inout Expectations) throws {
  // Every range of ranks, one after the other, without a call that all ranks make.
  for lower in 0..<world.size {
    for upper in lower + 1...world.size where (lower..<upper).contains(world.rank) {
      let group = try world.group(lower..<upper)
      e.expectEqual(group.size, upper - lower)
      e.expectEqual(group.rank, world.rank - lower)
      e.expectEqual(try group.allGather(world.rank), Array(lower..<upper))
    }
  }
  // Disjoint groups at the same time, and far more of them than MPI has handles for.
  let cut = (world.size + 1) / 2
  let half = world.rank < cut ? 0..<cut : cut..<world.size
  for tag in 0..<2000 {
    let group = try world.group(half, tag: tag)
    e.expectEqual(group.size, half.count)
  }
}

/// Counts of parts that differ, with empty ones among them.
private func counts(_ scale: Int, ranks: Int) -> [Int] { (0..<ranks).map { ($0 * 5 + 3) % 4 * scale } }

func checkReduceScatter(_ world: Communicator, _ e: inout Expectations) throws {
  // Large parts make MPI choose other algorithms.
  for scale in [0, 1, 3, 1000, 60_000] {
    let counts = counts(scale, ranks: world.size)
    let offset = counts[..<world.rank].reduce(0, +)
    let total = counts.reduce(0, +)
    let weight = world.size * (world.size + 1) / 2
    func check<T: MPIDatatype & Equatable & Numeric>(_: T.Type) throws {
      var values = (0..<total + 2).map { T(exactly: ($0 % 97) * (world.rank + 1)) ?? 0 }
      try values.withUnsafeMutableBufferPointer { try world.reduceScatter($0, counts: counts) }
      let wanted = (0..<counts[world.rank]).map { T(exactly: (offset + $0) % 97 * weight) ?? 0 }
      e.expect(Array(values[..<wanted.count]) == wanted, "\(T.self), parts of \(counts)")
    }
    try check(Int.self)
    try check(Double.self)
    try check(Float.self)
  }
}

func checkAllGather(_ world: Communicator, _ e: inout Expectations) throws {
  for scale in [0, 1, 3, 1000, 60_000] {
    let counts = counts(scale, ranks: world.size)
    let offset = counts[..<world.rank].reduce(0, +)
    let wanted = (0..<counts.reduce(0, +)).map { Float($0 % 1009) }
    var values = [Float](repeating: -1, count: wanted.count + 1)
    for index in offset..<offset + counts[world.rank] { values[index] = wanted[index] }
    try values.withUnsafeMutableBufferPointer { try world.allGather($0, counts: counts) }
    e.expect(values == wanted + [-1], "parts of \(counts)")
  }
}
