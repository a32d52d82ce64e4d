import RunCore

/// The numbers and scores of a matrix's weights by the coarse bins of what ranks them: eight bins an octave.
///
/// From the histograms of all matrices follows what a run with another budget would keep of each, but for the weights in one bin.
struct CoarseHistogram {
  /// The coarse bins that are not empty, ascending: the upper 12 bits of the keys in them.
  let bins: [UInt16]
  /// The number of weights in each of these bins.
  let counts: [Int]
  /// The sum of their scores, in the units in which scores are stored.
  let sums: [Double]

  /// - Parameters:
  ///   - fine: the number of ranked values in each bin of a ``ScoreHistogram``.
  ///   - coarse: the sum of the scores in each coarse bin.
  init(fine: [Int], coarse: [Double]) {
    let width = ScoreHistogram.binCount / CoarseSums.binCount
    let all = coarse.indices.map { bin in fine[bin * width..<(bin + 1) * width].reduce(0, +) }
    let filled = all.indices.filter { all[$0] > 0 }
    bins = filled.map { UInt16($0) }
    counts = filled.map { all[$0] }
    sums = filled.map { coarse[$0] }
  }

  /// The histogram of a scored matrix by one of its rankings, from the journal.
  init(_ matrix: ScoredMatrix, ranking: Int) throws {
    let record = try RecordReader(matrix.path)
    let ranked = matrix.record.rankings[ranking]
    guard let fine = ScoreHistogram.decode(try record.read(ranked.histogram, of: Int.self)),
      let coarse = CoarseSums.decode(try record.read(ranked.sums, of: Double.self))
    else { throw record.damage }
    self.init(fine: fine, coarse: coarse)
  }
}
