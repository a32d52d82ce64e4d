import CKernels
import DistSVD

/// S of one matrix, a panel at a time: S = |W·V|·|V|ᵀ, and Sᵀ = |Wᵀ·U|·|U|ᵀ when W is wide.
///
/// Because U·Σ = W·V, this is |U|·Σ·|V|ᵀ without U, without Σ, and without dividing by a small σ; every row of S depends on
/// one row of W. Memory is two `core × core` matrices and three panels of single precision.
struct ScorePanels {
  let shape: PanelShape
  /// The signed basis; the other is its absolute value.
  private let basis: AlignedBuffer<Float>
  private let absoluteBasis: AlignedBuffer<Float>
  private let weights: AlignedBuffer<Float>
  private let projection: AlignedBuffer<Float>
  private let scores: AlignedBuffer<Float>
  let panels: [Range<Int>]

  init(rows: Int, columns: Int, basis: SingularBasis) throws {
    shape = PanelShape(rows: rows, columns: columns)
    panels = shape.panels(of: PanelShape.scoreElements)
    self.basis = basis.vectors
    absoluteBasis = try AlignedBuffer(count: basis.vectors.count)
    _ = absoluteBasis.elements.update(from: basis.vectors.elements)
    frog_absolute(absoluteBasis.elements.baseAddress, absoluteBasis.count)
    let panelCount = (panels.first?.count ?? 0) * shape.core
    weights = try AlignedBuffer(count: panelCount)
    projection = try AlignedBuffer(count: panelCount)
    scores = try AlignedBuffer(count: panelCount)
  }

  /// One panel of S.
  struct Panel {
    /// Row-major and dense, `rows × columns`.
    let scores: UnsafeMutableBufferPointer<Float>
    /// |W·V| or |Wᵀ·U|, to BLAS `core × panel` if the matrix is tall, `panel × core` if it is wide.
    let projection: UnsafeMutableBufferPointer<Float>
    let rows: Range<Int>
    let columns: Range<Int>
  }

  /// The scores of `range` of the streaming side; valid until the next call.
  func panel(_ range: Range<Int>, of source: some PanelSource) throws -> Panel {
    let (core, length) = (shape.core, range.count)
    let weights = weights.prefix(length * core)
    let projection = projection.prefix(length * core)
    let scores = scores.prefix(length * core)
    let (rows, columns) = (shape.rows(range), shape.columns(range))
    try source.read(rows: rows, columns: columns, into: weights)
    let absolute = LocalBLAS.Operand(absoluteBasis.elements, storedRows: core)
    if shape.isTall {
      // To BLAS the row-major panel W is Wᵀ, core × length: (W·V)ᵀ = Vᵀ·Wᵀ and Sᵀ = |V|·|W·V|ᵀ.
      LocalBLAS.multiply(
        .init(basis.elements, storedRows: core, transposed: true), .init(weights, storedRows: core),
        rows: core, columns: length, inner: core, into: projection)
      frog_absolute(projection.baseAddress, projection.count)
      LocalBLAS.multiplyPositive(
        absolute, .init(projection, storedRows: core), rows: core, columns: length, inner: core, into: scores)
    } else {
      // To BLAS the row-major panel W is Wᵀ, length × core: Wᵀ·U, then Sᵀ = |Wᵀ·U|·|U|ᵀ, which is S row-major.
      LocalBLAS.multiply(
        .init(weights, storedRows: length), .init(basis.elements, storedRows: core),
        rows: length, columns: core, inner: core, into: projection)
      frog_absolute(projection.baseAddress, projection.count)
      LocalBLAS.multiplyPositive(
        .init(projection, storedRows: length), .init(absoluteBasis.elements, storedRows: core, transposed: true),
        rows: length, columns: core, inner: core, into: scores)
    }
    return Panel(scores: scores, projection: projection, rows: rows, columns: columns)
  }

  /// |V|·x, or |V|ᵀ·x, added to `y`.
  func accumulateAbsolute(
    transposed: Bool, times x: UnsafeMutableBufferPointer<Float>, into y: UnsafeMutableBufferPointer<Float>
  ) {
    LocalBLAS.accumulate(
      .init(absoluteBasis.elements, storedRows: shape.core, transposed: transposed), storedColumns: shape.core,
      times: x, into: y)
  }
}
