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
  ///   - bound: scores below it are counted but not kept.
  ///   - counted: called when the scores of a panel have been counted, with the share of the panels done; raises the bound, and
  ///     returns false to stop.
  /// - Returns: nil if it was stopped.
  func score(
    _ matrix: Catalog.Matrix, ordinal: Int, source: MatrixPanels, squaredNorm: Double,
    histogram: inout ScoreHistogram, bound: inout RisingBound,
    counted: (inout ScoreHistogram, inout RisingBound, Double) throws -> Bool
  ) throws -> ScoredMatrix? {
    let basis = try precision.basis(of: source)
    try check(basis, squaredNorm: squaredNorm, name: matrix.name)
    let panels = try ScorePanels(rows: matrix.rows, columns: matrix.columns, basis: basis)
    var noise = try NoiseAccumulator(rows: matrix.rows, columns: matrix.columns)
    var candidates = CandidateSet(spill: spill, matrixColumns: matrix.columns)
    for (number, range) in panels.panels.enumerated() {
      let panel = try panels.panel(range, of: source)
      histogram.count(panel.scores)
      guard !histogram.holdsNonFinite else {
        throw RunFailure(
          .data,
          "tensor \(quoted(matrix.name)): its scores overflow single precision (Frobenius norm \(squaredNorm.squareRoot())); "
            + "leave it out with --exclude, or rescale it")
      }
      // The panel's own scores raise the bound before any of them goes to disk.
      guard try counted(&histogram, &bound, Double(number + 1) / Double(panels.panels.count)) else { return nil }
      try candidates.runs.append(keep(panel, from: bound.key))
      try noise.add(panel, shape: panels.shape)
    }
    let factors = try noise.factors(panels)
    let offset = try factors.row.withUnsafeBufferPointer { try spill.append($0) }
    _ = try factors.column.withUnsafeBufferPointer { try spill.append($0) }
    return ScoredMatrix(
      ordinal: ordinal, candidates: candidates, noiseError: factors.relativeError, noiseOffset: offset)
  }

  /// Spills the scores of a panel that reach the bound.
  private func keep(_ panel: ScorePanels.Panel, from bound: UInt32) throws -> CandidateRun {
    let offset = spill.byteCount
    var total = 0
    try withUnsafeTemporaryAllocation(of: frog_candidate.self, capacity: Self.keptCapacity) { kept in
      for start in stride(from: 0, to: panel.scores.count, by: Self.keptCapacity) {
        let piece = panel.scores[start..<min(start + Self.keptCapacity, panel.scores.count)]
        let count = frog_keep(
          UnsafeMutableBufferPointer(rebasing: piece).baseAddress, piece.count, UInt32(start), bound, kept.baseAddress)
        _ = try spill.append(UnsafeBufferPointer(rebasing: kept[..<count]))
        total += count
      }
    }
    return CandidateRun(rows: panel.rows, columns: panel.columns, offset: offset, count: total)
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
