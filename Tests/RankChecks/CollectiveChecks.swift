import MPI

/// Runs `body` with whole buffers and with chunks so small that every buffer has seams.
private func withAndWithoutSeams(_ world: Communicator, _ body: () throws -> Void) throws {
  try body()
  for count in [7, 1] { try world.withCalls(of: count, body) }
}

func checkBroadcast(_ world: Communicator, _ e: inout Expectations) throws {
  for root in 0..<world.size {
    try withAndWithoutSeams(world) {
      for count in [0, 1, 6, 7, 8, 50] {
        let truth = (0..<count).map { Double(root * 1000 + $0) / 3 }
        var values = world.rank == root ? truth : [Double](repeating: -1, count: count)
        try world.broadcast(&values, from: root)
        e.expectEqual(values, truth)
        e.expectEqual(try world.broadcasting(world.rank == root ? truth : [9, 9, 9], from: root), truth)
      }
    }
  }
}

func checkReductions(_ world: Communicator, _ e: inout Expectations) throws {
  let ranks = 0..<world.size
  try withAndWithoutSeams(world) {
    for count in [0, 1, 13, 40] {
      func term(_ rank: Int, _ index: Int) -> Int { (rank + 2) * (index + 1) % 17 - 5 }
      var sum = (0..<count).map { term(world.rank, $0) }
      try world.allReduce(&sum, .sum)
      e.expectEqual(sum, (0..<count).map { index in ranks.reduce(0) { $0 + term($1, index) } })
      var most = (0..<count).map { Float(term(world.rank, $0)) }
      try world.allReduce(&most, .maximum)
      e.expectEqual(most, (0..<count).map { index in Float(ranks.map { term($0, index) }.max() ?? 0) })
      var least = (0..<count).map { Int32(term(world.rank, $0)) }
      try world.allReduce(&least, .minimum)
      e.expectEqual(least, (0..<count).map { index in Int32(ranks.map { term($0, index) }.min() ?? 0) })
    }
  }
  e.expectEqual(try world.allReduced(UInt64(1) << 60, .maximum), 1 << 60)
}

func checkGather(_ world: Communicator, _ e: inout Expectations) throws {
  func values(of rank: Int) -> [UInt32] { (0..<(rank * 5 % 11)).map { UInt32(rank * 100 + $0) } }
  let truth = (0..<world.size).map(values)
  try withAndWithoutSeams(world) {
    for root in 0..<world.size {
      let found = try world.gather(values(of: world.rank), to: root)
      e.expectEqual(found, world.rank == root ? truth : [])
    }
    e.expectEqual(try world.allGather(values(of: world.rank)), truth)
    e.expectEqual(try world.allGather(world.rank * 3), (0..<world.size).map { $0 * 3 })
  }
}

func checkNonblockingSum(_ world: Communicator, _ e: inout Expectations) throws {
  let base = (0..<1000).map { $0 * (world.rank + 1) }
  let pending = try (0..<5).map { round in try world.startSum(base.map { $0 + round }) }
  // Finish them out of order; each must still hold its own round.
  let weight = world.size * (world.size + 1) / 2
  for round in [3, 0, 4, 2, 1] {
    if round.isMultiple(of: 2) { while try !pending[round].test() {} }
    let result = try pending[round].result()
    e.expectEqual(Array(result), (0..<1000).map { $0 * weight + round * world.size })
    e.expectEqual(pending[round].contribution[999], base[999] + round)
  }
}

func checkSplit(_ world: Communicator, _ e: inout Expectations) throws {
  // Three colours, the last left out; keys reverse the order.
  let colour = world.rank % 3 == 2 ? nil : world.rank % 3
  let part = try world.split(colour: colour, key: -world.rank)
  e.expectEqual(part == nil, colour == nil)
  if let part, let colour {
    let members = (0..<world.size).filter { $0 % 3 == colour }
    e.expectEqual(part.size, members.count)
    e.expectEqual(try part.allGather(world.rank), members.reversed())
  }
  let node = try world.splitByNode()
  e.expect(node.size >= 1 && node.size <= world.size, "node of \(node.size) ranks")
  e.expectEqual(try node.allReduced(1, .sum), node.size)
  // Communicators are freed: far more of them than MPI has handles for.
  for _ in 0..<2000 { _ = try world.split(colour: 0) }
}
