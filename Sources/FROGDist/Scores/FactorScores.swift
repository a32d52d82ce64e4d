import CKernels
import DistSVD

/// Scores that are a product of two factors: S = |W·V|·|V|ᵀ, and Sᵀ = |Wᵀ·U|·|U|ᵀ when W is wide.
///
/// Because U·Σ = W·V, this is |U|·Σ·|V|ᵀ without U, without Σ, and without dividing by a small σ; every row of S depends on
/// one row of W. Memory is two `core × rank` matrices and three panels of single precision.
package struct FactorScores: ScorePanels {
  /// What is made of the two products.
  package enum Form {
    /// |W·V|·|V|ᵀ with all of V.
    case frog
    /// |W·V|·|V|ᵀ with the leading vectors, and the rest by its rank-one mean.
    case compensated(ResidualMean)
    /// |W·V·Vᵀ| with the leading vectors.
    case lift
  }

  let shape: PanelShape
  private let source: any PanelSource
  private let form: Form
  private let rank: Int
  /// V, and the factor that stands for Vᵀ: |V|, or V itself.
  private let vectors: UnsafeMutableBufferPointer<Float>
  private let second: UnsafeMutableBufferPointer<Float>
  private let weights: AlignedBuffer<Float>
  private let projection: AlignedBuffer<Float>
  private let scores: AlignedBuffer<Float>
  /// Keep the memory of `vectors` and `second`.
  private let owners: [AlignedBuffer<Float>]

  /// - Parameters:
  ///   - vectors: `core × rank`, column-major: columns `columns` of this buffer.
  ///   - longest: the longest range that will be asked for.
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

/// The mean of what a truncated decomposition leaves out: κ·(2/π)·ρ·τᵀ (DESIGN §1.4).
///
/// ρ_i² = ‖W_i,:‖² − ‖(W·V_r)_i‖² and τ_j² = 1 − ‖V_r,j‖²: were the directions of the rest random, |u||v| would have this
/// mean; κ carries how its singular values are spread.
package struct ResidualMean {
  /// κ·(2/π)·τ, one for each position of the core side.
  private let tau: [Float]

  /// - Parameter vectors: V_r, `order × rank`, column-major.
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
      // Rows of the panel run along the stream if tall, along the core if wide.
      let (factor, factors) = shape.isTall ? (rho[index], tau) : (tau[index], rho)
      frog_outer(factor, factors, scores.count, scores.baseAddress)
      index += 1
    }
  }

  /// ρ along the streaming side.
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
