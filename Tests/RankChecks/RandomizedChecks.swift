import DistSVD
import MPI
import TestSupport

/// Noise, with a hook for each read.
private struct NoiseMatrix: PanelSource {
  let matrix: TestMatrix
  /// Called before each read.
  private let willRead: () throws -> Void

  init(rows: Int, columns: Int, willRead: @escaping () throws -> Void = {}) {
    matrix = TestMatrix(noise: rows, columns, seed: 1)
    self.willRead = willRead
  }

  var rows: Int { matrix.rows }
  var columns: Int { matrix.columns }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try willRead()
    try matrix.read(rows: rows, columns: columns, into: panel)
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try willRead()
    try matrix.read(rows: rows, columns: columns, into: panel)
  }
}

/// A result as comparable bits.
private func bits(_ basis: TruncatedBasis) -> [UInt64] {
  withExtendedLifetime(basis) {
    basis.vectors.elements.map { UInt64($0.bitPattern) } + basis.singularValues.map(\.bitPattern)
      + [basis.tailNuclearNorm.bitPattern, basis.tailSquares.bitPattern, basis.tailError.bitPattern]
  }
}

func checkRandomized(_ world: Communicator, _ e: inout Expectations) throws {
  // Tall, wide, thinner than the chunks, fewer chunks than ranks; and an order whose tail is estimated by Lanczos quadrature.
  let shapes = [(300, 70), (70, 300), (1500, 5), (90, 90), (2, 2), (1100, 1030), (1030, 1100)]
  for (rows, columns) in shapes {
    let matrix = NoiseMatrix(rows: rows, columns: columns)
    let squaredNorm = matrix.matrix.squaredNorm
    let few = RandomizedOptions(rank: 1, oversample: 0, powerIterations: 1, seed: 5)
    let many = RandomizedOptions(rank: min(8, min(rows, columns) - 1), powerIterations: 1, seed: 5)
    for options in [many, few] {
      let solver = RandomizedSolver(options, stream: 11)
      let alone = bits(try solver.solve(matrix, squaredNorm: squaredNorm, sums: LocalChunkSums()))
      // The large ones take seconds; two sizes do.
      for size in rows * columns < 1_000_000
        ? Array(1...world.size) : Array(Set([min(2, world.size), world.size])).sorted()
      {
        // Teams of this size side by side, the last with what is left.
        guard let team = try world.split(colour: world.rank / size) else { continue }
        let sums = TeamChunkSums(team: team, agreeing: team.agreeing)
        // Small matrices by short broadcasts, to see the seams between them.
        try team.withCalls(of: rows < 1000 ? 997 : 1 << 30) {
          let found = bits(try solver.solve(matrix, squaredNorm: squaredNorm, sums: sums))
          e.expect(
            found == alone, "\(rows) × \(columns), rank \(options.rank), team of \(team.size): other bits than alone")
        }
      }
    }
  }
  try checkFailingReads(world, &e)
}

/// The Gram matrix of order 40 is cheaper than these products, and dearer than those.
private let throughGram = RandomizedOptions(rank: 3, powerIterations: 1, seed: 5)
private let throughMatrix = RandomizedOptions(rank: 1, oversample: 0, powerIterations: 1, seed: 5)

/// A read that fails on one member ends as the same error on all, in whichever pass it happens.
private func checkFailingReads(_ world: Communicator, _ e: inout Expectations) throws {
  let failure = CheckFailure(code: 74, message: "the disk is gone")
  for failing in 0..<world.size {
    // By way of the Gram matrix: that, and the one of the tail. By way of W: two images, the projection, the tail.
    for (options, pass) in (0..<2).map({ (throughGram, $0) }) + (0..<4).map({ (throughMatrix, $0) }) {
      var reads = 0
      // 16 chunks of a panel each; the Gram matrix in single precision is summed in 4 parts of 4.
      let unit = options == throughGram && pass == 0 ? 4 : 1
      let parts = 16 / unit
      let first = options == throughGram ? 4 * (4 * (failing + 1) / world.size - 4 * failing / world.size) : 0
      let share = unit * (parts * (failing + 1) / world.size - parts * failing / world.size)
      let before = options == throughGram ? (pass == 0 ? 0 : first) : pass * share
      let matrix = NoiseMatrix(rows: 1024, columns: 40) {
        reads += 1
        if world.rank == failing && reads == before + 1 { throw failure }
      }
      // A member without a part of the sum reads nothing.
      guard share > 0 else { continue }
      let solver = RandomizedSolver(options, stream: 11)
      var heard: CheckFailure?
      do {
        _ = try solver.solve(
          matrix, squaredNorm: 1000, sums: TeamChunkSums(team: world, agreeing: world.agreeing))
      } catch let error as CheckFailure {
        heard = error
      }
      e.expectEqual(heard, failure)
    }
  }
}
