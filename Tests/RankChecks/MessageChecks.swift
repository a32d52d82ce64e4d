import MPI

/// Messages arrive whole and in order, wait for their receiver, are no heartbeats, and stay apart from those of other communicators.
func checkMessages(_ world: Communicator, _ e: inout Expectations) throws {
  let (first, second) = (try world.duplicate(), try world.duplicate())
  e.expectEqual(first.rank, world.rank)
  e.expectEqual(first.size, world.size)
  let count = 5
  // 1. Nothing has arrived, and asking is no heartbeat.
  let beats = Heartbeat.count
  e.expect(try first.arrivedMessage(ofCount: 2) == nil, "a message before one was sent")
  e.expectEqual(Heartbeat.count, beats)
  // 2. Every rank but 0 sends one message after the other; a barrier tells rank 0 when no more can come.
  try world.barrier()
  var received: [Int: [Int]] = [:]
  if world.isRoot {
    let barrier = try first.startBarrier()
    while try !barrier.test() {
      guard let (sender, words) = try first.arrivedMessage(ofCount: 2) else { continue }
      e.expectEqual(words[0], sender)
      received[sender, default: []].append(words[1])
    }
    e.expect(try first.arrivedMessage(ofCount: 2) == nil, "a message after all were received")
    e.expect(try second.arrivedMessage(ofCount: 2) == nil, "a message of another communicator")
  } else {
    for number in 0..<count { try first.startMessage([world.rank, number], to: 0).wait() }
    try first.startBarrier().wait()
  }
  for sender in 1..<max(1, world.size) where world.isRoot { e.expectEqual(received[sender], Array(0..<count)) }
  // Rank 0 has looked at the second communicator by now.
  try world.barrier()
  // 3. A message that nobody receives is not complete.
  var pending: PendingMessage?
  if world.rank == world.size - 1, world.size > 1 {
    let beats = Heartbeat.count
    pending = try second.startMessage([7, 8], to: 0)
    for _ in 0..<100 { e.expect(try pending?.test() == false, "complete before it was received") }
    e.expectEqual(Heartbeat.count, beats)
  }
  try world.barrier()
  if world.isRoot, world.size > 1 {
    var found: (sender: Int, words: [Int])?
    while found == nil { found = try second.arrivedMessage(ofCount: 2) }
    e.expectEqual(found?.words, [7, 8])
    e.expectEqual(found?.sender, world.size - 1)
  }
  try pending?.wait()
  e.expect(try pending?.test() ?? true, "not complete although it was received")
}

/// A barrier is complete once the last rank has started it, not earlier, and asking is no heartbeat before.
func checkBarrier(_ world: Communicator, _ e: inout Expectations) throws {
  guard world.size > 1 else { return e.expect(try world.startBarrier().test(), "a barrier of one rank") }
  let apart = try world.duplicate()
  let isLast = world.rank == world.size - 1
  if !isLast {
    let barrier = try world.startBarrier()
    let beats = Heartbeat.count
    for _ in 0..<100 { e.expect(try !barrier.test(), "complete before all ranks have started it") }
    e.expectEqual(Heartbeat.count, beats)
    // Only now may the last rank start the barrier.
    try apart.barrier()
    try barrier.wait()
    e.expect(try barrier.test(), "not complete after waiting for it")
  } else {
    try apart.barrier()
    try world.startBarrier().wait()
  }
}
