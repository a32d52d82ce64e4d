import CKernels
import MPI
import RunCore
import ShardIO

extension Norms {
  /// Reads all weights once, each rank an equal share of the blocks, and measures norms and hashes.
  ///
  /// Collective: every rank calls it. The result is the same on every rank, bit by bit, and for any number of ranks.
  ///
  /// - Parameters:
  ///   - waiting: is called when this rank has read its share, with a barrier that is complete once every rank has. It may ask again and again
  ///     whether that is so, or leave the waiting to MPI.
  ///   - progress: is called after each block with the share of this rank's blocks that are done, and with 1 if it has none; it may throw to
  ///     end the pass.
  /// - Throws: ``RunFailure`` that names the first weight, in order of name and index, that is NaN or infinite; or a matrix whose squared
  ///   weights overflow or vanish in double precision.
  /// - Complexity: one read of all matrices, divided among the ranks; 32 bytes per block of 2²² weights are exchanged.
  package static func measure(
    _ catalog: Catalog, shards: OpenShards, world: Communicator,
    waiting: @escaping (PendingBarrier) throws -> Void = { _ in },
    progress: (Double) throws -> Void
  ) throws -> Norms {
    // 1. Measure this rank's share of the blocks, reading ahead.
    let blocks = NormBlock.blocks(of: catalog)
    let share = blocks.count * world.rank / world.size..<blocks.count * (world.rank + 1) / world.size
    let own: [UInt64] = try world.agreeing(waiting: waiting) {
      var words: [UInt64] = []
      var measure = BlockMeasure()
      var readAhead = BlockReadAhead()
      let own = Array(blocks[share])
      if own.isEmpty { try progress(1) }
      for (done, block) in own.enumerated() {
        readAhead.wait(for: done, count: own.count) { position in
          let matrix = catalog.matrices[own[position].matrix]
          return (try? shards.source(matrix.shard)).map { ($0, own[position].bytes(of: matrix)) }
        }
        words += try measure(block, of: catalog, shards: shards).encoded
        try progress(Double(done + 1) / Double(share.count))
      }
      return words
    }
    // 2. Gather the results of all blocks on every rank.
    let words = try world.allGather(own).flatMap { $0 }
    let results = blocks.indices.map {
      BlockResult(encoded: words[$0 * BlockResult.words..<($0 + 1) * BlockResult.words])
    }
    // 3. Refuse NaN and infinity, add the partial sums, and refuse what double precision cannot hold.
    try refuseNonFinite(blocks: blocks, results: results, catalog: catalog)
    let norms = Norms(blocks: blocks, results: results, catalog: catalog)
    // Only F64 weights can be that large, or that small.
    if let beyond = norms.squared.firstIndex(where: { !$0.isFinite || (0 < $0 && $0 < leastSquare) }) {
      let end = norms.squared[beyond].isFinite ? "vanish in" : "overflow"
      throw RunFailure(
        .data,
        "\(catalog.place(of: catalog.matrices[beyond])): its squared weights \(end) double precision; rescale it, or leave it out with "
          + "--exclude")
    }
    return norms
  }

  /// The smallest sum of squares that is believed. Squares in a smaller one may have been subnormal numbers, which lose digits.
  private static let leastSquare = 0x1p-960

  /// Throws a failure that names the first weight that is NaN or infinite, if there is one.
  private static func refuseNonFinite(blocks: [NormBlock], results: [BlockResult], catalog: Catalog) throws {
    let found = zip(blocks, results).filter { $0.1.firstNonFinite >= 0 }
    guard
      let (block, result) = found.min(by: { ($0.0.matrix, $0.1.firstNonFinite) < ($1.0.matrix, $1.1.firstNonFinite) })
    else { return }
    let matrix = catalog.matrices[block.matrix]
    let (row, column) = result.firstNonFinite.quotientAndRemainder(dividingBy: matrix.columns)
    let others = found.count > 1 ? " (and \(found.count - 1) more blocks of weights have some)" : ""
    throw RunFailure(
      .data,
      "\(catalog.place(of: matrix)) is NaN or infinite at row \(row), column \(column)\(others); repair the checkpoint, or leave the tensor out with --exclude"
    )
  }

  /// Adds the partial sums in the order of the blocks, which depends on the checkpoint alone, so that the last bits do too.
  private init(blocks: [NormBlock], results: [BlockResult], catalog: Catalog) {
    var squared = [Double](repeating: 0, count: catalog.matrices.count)
    var hashes = [[frog_hash128]](repeating: [], count: catalog.matrices.count)
    for (block, result) in zip(blocks, results) {
      squared[block.matrix] += result.sumOfSquares
      hashes[block.matrix].append(result.hash)
    }
    self.init(
      squared: squared, blockHashes: hashes,
      fingerprint: Self.fingerprint(of: catalog.matrices.indices, in: catalog, blockHashes: hashes))
  }
}
