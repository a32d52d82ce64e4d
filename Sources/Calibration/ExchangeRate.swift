import DistSVD
import MPI
import RunCore

/// Measures how fast ranks exchange arrays.
enum ExchangeRate {
  /// The number of elements of an array: as many as a team adds up at a time while it forms a Gram matrix.
  static let count = 1 << 22

  /// The bytes per second that each rank exchanges while all ranks add up an array and give the parts of the sum to all.
  ///
  /// Collective: every rank calls it; there are at least two ranks.
  ///
  /// - Throws: ``RunFailure``, the same on every rank, or `MPIError`.
  static func measure(_ world: Communicator, clock: BusyClock) throws -> Double {
    let buffer = try world.agreeing { try AlignedBuffer<Double>(count: count) }
    let shares = (0..<world.size).map { count * ($0 + 1) / world.size - count * $0 / world.size }
    func exchange() throws {
      try world.reduceScatter(buffer.elements, counts: shares)
      try world.allGather(buffer.elements, counts: shares)
    }
    // The first exchange makes connections and touches pages, so it is not timed.
    try exchange()
    var rounds = 0.0
    var seconds = 0.0
    try world.barrier()
    let start = clock.now
    repeat {
      try exchange()
      rounds += 1
      seconds = try world.allReduced(clock.now - start, .maximum)
    } while seconds < 0.25
    let others = Double(world.size - 1) / Double(world.size)
    return rounds * 2 * Double(count * MemoryLayout<Double>.size) * others / seconds
  }
}
