import MPI

/// Finds the one threshold of the whole model, exactly, and shares out the weights that equal it.
enum GlobalSelection {
  /// Sets the cut of every matrix in `scored`.
  ///
  /// Collective: every rank calls it with its own scores. Two sums of 65,536 counts and one of two counts a matrix are
  /// exchanged, whatever N is.
  ///
  /// - Parameter keep: K.
  /// - Returns: the kept weights of every matrix, by ordinal, and the threshold's key.
  static func select(
    _ keep: Int, scored: inout ScoringStage.Result, matrixCount: Int, world: Communicator
  ) throws -> (kept: [Int], cut: Cut) {
    var histogram = scored.counts.histogram.bins
    try world.allReduce(&histogram, .sum)
    let matrices = scored.matrices
    let cut = try Cut.keeping(keep, histogram: histogram) { bin in
      var lower = [Int](repeating: 0, count: 1 << 16)
      try world.agreeing {
        for matrix in matrices { try matrix.candidates.countLowerHalves(of: bin, into: &lower) }
      }
      try world.allReduce(&lower, .sum)
      return lower
    }

    // Above the threshold, then equal to it, by ordinal.
    var counts = [Int](repeating: 0, count: 2 * matrixCount)
    if cut != .nothing {
      try world.agreeing {
        for matrix in matrices {
          (counts[matrix.ordinal], counts[matrixCount + matrix.ordinal]) = try matrix.candidates.count(around: cut.key)
        }
      }
      try world.allReduce(&counts, .sum)
    }
    let (above, equal) = (counts[..<matrixCount], counts[matrixCount...])
    let ties = shareTies(cut.ties, among: Array(equal))
    for index in scored.matrices.indices {
      guard cut != .nothing else { continue }
      scored.matrices[index].cut = Cut(key: cut.key, ties: ties[scored.matrices[index].ordinal])
    }
    return (zip(above, ties).map { $0 + $1 }, cut)
  }

  /// Gives ties to the lower ordinals first.
  static func shareTies(_ ties: Int, among equal: [Int]) -> [Int] {
    var left = ties
    return equal.map { count in
      let share = min(left, count)
      left -= share
      return share
    }
  }
}

extension ScoringStage {
  /// Draws the border between kept and frozen weights of all scored matrices.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: the kept weights of every matrix, by ordinal, and the one cut of the whole model, if there is one.
  func select(_ scored: inout Result, on world: Communicator) throws -> (kept: [Int], cut: Cut?) {
    switch quota {
    case .each(let kept): return (kept, nil)
    case .global(let keep):
      return try GlobalSelection.select(keep, scored: &scored, matrixCount: catalog.matrices.count, world: world)
    }
  }
}
