import CKernels
import DistSVD
import ShardIO

/// What scoring a matrix leaves behind.
struct ScoredMatrix {
  let ordinal: Int
  var candidates: CandidateSet
  let noiseError: Double
  /// Where the noise factors lie in the spill file: m, then n Floats.
  let noiseOffset: Int
  /// The border of the selection in this matrix, once known.
  var cut = Cut.nothing
}

/// Decomposes matrices and streams their scores past the histogram, the bound and the noise sums.
struct MatrixScorer {
  /// Room for candidates before they go to disk.
  static let keptCapacity = 1 << 17

  let spill: CandidateSpill
  let precision: Precision

  /// Scores one matrix.
  ///
  /// - Parameters:
  ///   - squaredNorm: ‖W‖²_F of the norms pass, which the squared singular values must add up to.
  ///   - histogram: gets every score.
  ///   - bound: scores below it are counted but not kept; raised by `afterPanel`.
  ///   - afterPanel: called after each panel with the share of the panels done; returns false to stop.
  /// - Returns: nil if it was stopped.
  func score(
    _ matrix: Catalog.Matrix, ordinal: Int, source: MatrixPanels, squaredNorm: Double,
    histogram: inout ScoreHistogram, bound: inout RisingBound,
    afterPanel: (inout ScoreHistogram, inout RisingBound, Double) throws -> Bool
  ) throws -> ScoredMatrix? {
    let basis = try precision.basis(of: source)
    try check(basis, squaredNorm: squaredNorm, name: matrix.name)
    let panels = try ScorePanels(rows: matrix.rows, columns: matrix.columns, basis: basis)
    var noise = try NoiseAccumulator(rows: matrix.rows, columns: matrix.columns)
    var candidates = CandidateSet(spill: spill, matrixColumns: matrix.columns)
    for (number, range) in panels.panels.enumerated() {
      let panel = try panels.panel(range, of: source)
      try candidates.runs.append(keepCandidates(of: panel, bound: bound.key, histogram: &histogram))
      guard !histogram.holdsNonFinite else {
        throw RunFailure(
          .data,
          "tensor \(quoted(matrix.name)): its scores overflow single precision (Frobenius norm \(squaredNorm.squareRoot())); "
            + "leave it out with --exclude, or rescale it")
      }
      try noise.add(panel, shape: panels.shape)
      guard try afterPanel(&histogram, &bound, Double(number + 1) / Double(panels.panels.count)) else { return nil }
    }
    let factors = try noise.factors(panels)
    let offset = try factors.row.withUnsafeBufferPointer { try spill.append($0) }
    _ = try factors.column.withUnsafeBufferPointer { try spill.append($0) }
    return ScoredMatrix(
      ordinal: ordinal, candidates: candidates, noiseError: factors.relativeError, noiseOffset: offset)
  }

  /// Counts all scores of a panel and spills those that reach the bound.
  private func keepCandidates(
    of panel: ScorePanels.Panel, bound: UInt32, histogram: inout ScoreHistogram
  ) throws -> CandidateRun {
    var first: Int?
    var total = 0
    try withUnsafeTemporaryAllocation(of: frog_candidate.self, capacity: Self.keptCapacity) { kept in
      for start in stride(from: 0, to: panel.scores.count, by: Self.keptCapacity) {
        let piece = UnsafeMutableBufferPointer(
          rebasing: panel.scores[start..<min(start + Self.keptCapacity, panel.scores.count)])
        let count = histogram.bins.withUnsafeMutableBytes { bins in
          frog_count_and_keep(
            piece.baseAddress, piece.count, UInt32(start), bound, bins.assumingMemoryBound(to: Int64.self).baseAddress,
            kept.baseAddress)
        }
        let offset = try spill.append(UnsafeBufferPointer(rebasing: kept[..<count]))
        first = first ?? offset
        total += count
      }
    }
    return CandidateRun(rows: panel.rows, columns: panel.columns, offset: first ?? 0, count: total)
  }

  /// Σσ² = ‖W‖²_F: a solver that lies, or a checkpoint that changed after the norms pass, shows here.
  private func check(_ basis: SingularBasis, squaredNorm: Double, name: String) throws {
    let sum = basis.singularValues.reduce(0) { $0 + $1 * $1 }
    let tolerance = precision == .f64 ? 1e-9 : 1e-3
    guard abs(sum - squaredNorm) <= tolerance * squaredNorm else {
      throw RunFailure(
        .internal,
        "tensor \(quoted(name)): the squared singular values add up to \(sum), the squared weights to \(squaredNorm): "
          + "the eigensolver failed, or the checkpoint changed during the run")
    }
  }
}
