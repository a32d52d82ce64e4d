import CKernels
import DistSVD

/// Scores that are a product of two factors: S = |W·V|·|V|ᵀ, and Sᵀ = |Wᵀ·U|·|U|ᵀ when W is wide.
///
/// Because U·Σ = W·V, this is |U|·Σ·|V|ᵀ without U, without Σ, and without dividing by a small σ.
///
/// Invariant: a row of S (a column if W is wide) depends on one row (column) of W and on the singular vectors alone. So a panel of S needs
/// no more of W than the same panel, whoever makes it. For a range of `length` rows of a tall W, the panel of W is `length × core`, its
/// projection `length × rank`, and the panel of scores `length × core`.
///
/// Memory is two `core × rank` matrices and three panels of single precision.
package struct FactorScores: ScorePanels {
  /// The way in which scores are made of the two products.
  package enum Form {
    /// |W·V|·|V|ᵀ with all singular vectors.
    case frog
    /// |W·V|·|V|ᵀ with the leading vectors, plus the mean of what they leave out, which has rank one.
    case compensated(ResidualMean)
    /// |W·V·Vᵀ| with the leading vectors: the size of the weight in an approximation.
    case lift
  }

  let shape: PanelShape
  private let source: any PanelSource
  private let form: Form
  private let rank: Int
  /// The singular vectors V.
  private let vectors: UnsafeMutableBufferPointer<Float>
  /// The second factor, which stands for Vᵀ: |V|, or V itself for ``Form/lift``.
  private let second: UnsafeMutableBufferPointer<Float>
  private let weights: AlignedBuffer<Float>
  private let projection: AlignedBuffer<Float>
  private let scores: AlignedBuffer<Float>
  /// The buffers that keep the memory of `vectors` and `second` alive.
  private let owners: [AlignedBuffer<Float>]

  /// - Parameters:
  ///   - vectors: the buffer whose columns `columns` are V, `core × rank`, column-major.
  ///   - longest: the length of the longest range that will be asked for.
  package init(_ source: any PanelSource, vectors: AlignedBuffer<Float>, columns: Range<Int>, form: Form, longest: Int)
    throws
  {
    shape = PanelShape(rows: source.rows, columns: source.columns)
    self.source = source
    self.form = form
    rank = columns.count
    let core = shape.core
    self.vectors = UnsafeMutableBufferPointer(
      rebasing: vectors.elements[columns.lowerBound * core..<columns.upperBound * core])
    if case .lift = form {
      second = self.vectors
      owners = [vectors]
    } else {
      let absolute = try AlignedBuffer<Float>(count: rank * core)
      _ = absolute.elements.update(from: self.vectors)
      frog_absolute(absolute.elements.baseAddress, absolute.count)
      second = absolute.elements
      owners = [vectors, absolute]
    }
    weights = try AlignedBuffer(count: longest * core)
    projection = try AlignedBuffer(count: longest * rank)
    scores = try AlignedBuffer(count: longest * core)
  }

  package func panel(_ range: Range<Int>) throws -> ScorePanel {
    let panel = ScorePanel(scores.elements, range: range, of: shape)
    guard !range.isEmpty else { return panel }
    let (core, length) = (shape.core, range.count)
    let weights = weights.prefix(length * core)
    let projection = projection.prefix(length * rank)
    try source.read(rows: panel.rows, columns: panel.columns, into: weights)
    let products = ScoreProducts(shape: shape)
    products.project(weights, on: vectors, count: rank, into: projection)
    switch form {
    case .lift:
      products.combine(projection, with: second, count: rank, into: panel.scores) {
        LocalBLAS.multiply($0, $1, rows: $2, columns: $3, inner: rank, into: $4)
      }
      frog_absolute(panel.scores.baseAddress, panel.scores.count)
    case .frog, .compensated:
      if case .compensated(let mean) = form {
        mean.fill(panel, weights: weights, projection: projection, shape: shape)
      }
      let isStarted = if case .compensated = form { true } else { false }
      frog_absolute(projection.baseAddress, projection.count)
      products.combine(projection, with: second, count: rank, into: panel.scores) {
        LocalBLAS.multiplyPositive($0, $1, rows: $2, columns: $3, inner: rank, addingTo: isStarted, $4)
      }
    }
    return panel
  }
}

/// The mean of what a truncated decomposition leaves out: κ·(2/π)·ρ·τᵀ (docs/method/approximation.md).
///
/// ρ_i² = ‖W_i,:‖² − ‖(W·V_r)_i‖² and τ_j² = 1 − ‖V_r,j‖². If the directions of the rest were random, |u||v| would have this mean. κ says
/// how the singular values of the rest are spread.
package struct ResidualMean {
  /// κ·(2/π)·τ, one value for each position of the core side.
  private let tau: [Float]

  /// - Parameter vectors: the leading vectors V_r, `order × rank`, column-major.
  init(_ vectors: AlignedBuffer<Float>, order: Int, kappa: Double) {
    var squares = [Double](repeating: 0, count: order)
    for column in 0..<vectors.count / order {
      frog_add_squares(vectors.elements.baseAddress.map { $0 + column * order }, order, &squares)
    }
    let scale = kappa * 2 / Double.pi
    tau = squares.map { Float(scale * max(0, 1 - $0).squareRoot()) }
  }

  /// Sets the scores of a panel to the mean.
  func fill(
    _ panel: ScorePanel, weights: UnsafeMutableBufferPointer<Float>, projection: UnsafeMutableBufferPointer<Float>,
    shape: PanelShape
  ) {
    let length = shape.isTall ? panel.rows.count : panel.columns.count
    let rho = residuals(weights, projection, length: length, shape: shape)
    var index = 0
    panel.forEachRow { _, scores in
      // Rows of a panel run along the streaming side if the matrix is tall, along the core side if it is wide.
      let (factor, factors) = shape.isTall ? (rho[index], tau) : (tau[index], rho)
      frog_outer(factor, factors, scores.count, scores.baseAddress)
      index += 1
    }
  }

  /// ρ, one value for each position of the streaming side in the panel.
  private func residuals(
    _ weights: UnsafeMutableBufferPointer<Float>, _ projection: UnsafeMutableBufferPointer<Float>, length: Int,
    shape: PanelShape
  ) -> [Float] {
    let (core, rank) = (shape.core, projection.count / length)
    guard let w = weights.baseAddress, let p = projection.baseAddress else { return [] }
    var whole = [Double](repeating: 0, count: length)
    var found = whole
    if shape.isTall {
      for line in 0..<length {
        whole[line] = frog_squares(w + line * core, core)
        found[line] = frog_squares(p + line * rank, rank)
      }
    } else {
      for row in 0..<core { frog_add_squares(w + row * length, length, &whole) }
      for vector in 0..<rank { frog_add_squares(p + vector * length, length, &found) }
    }
    return zip(whole, found).map { Float(max(0, $0 - $1).squareRoot()) }
  }
}
