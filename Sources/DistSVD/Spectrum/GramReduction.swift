/// The Gram matrix G of a matrix as Q·T·Qᵀ with T tridiagonal, with what tests its eigensystems.
struct GramReduction {
  let tridiagonal: Tridiagonal
  /// The probe that tests eigensystems of G.
  let probe: EigenProbe
  /// ‖G‖²_F.
  let squares: Double
  /// Does local work. If the work fails on one of the ranks that hold G, it throws the same error on all.
  let agreeing: (() throws -> Void) throws -> Void
  /// Gives all ranks the numbers of the first, in place.
  let sharing: (UnsafeMutableBufferPointer<Double>) throws -> Void
  /// Multiplies vectors, which are the same on all ranks, by Q. It is given their number too.
  let rotate: (AlignedBuffer<Double>, _ count: Int) throws -> Void

  init(
    _ tridiagonal: Tridiagonal, probe: EigenProbe, squares: Double,
    agreeing: @escaping (() throws -> Void) throws -> Void,
    sharing: @escaping (UnsafeMutableBufferPointer<Double>) throws -> Void,
    rotate: @escaping (AlignedBuffer<Double>, _ count: Int) throws -> Void
  ) {
    (self.tridiagonal, self.probe, self.squares) = (tridiagonal, probe, squares)
    (self.agreeing, self.sharing, self.rotate) = (agreeing, sharing, rotate)
  }

  /// Streams `source` once, on one rank.
  ///
  /// - Parameter forVectors: whether eigenvectors will be wanted. Without them, large matrices are reduced by way of a band.
  /// - Throws: ``SolverError/notFinite(order:)``, ``SolverError/outOfMemory(bytes:)``,
  ///   ``SolverError/orderTooLarge(_:)``, or what `source` throws.
  init(of source: some PanelSource, forVectors: Bool) throws {
    let gram = try GramMatrix<Double>(of: source)
    let order = gram.order
    let probe = try EigenProbe(gram)
    try probe.checkMatrix()
    let squares = DoubleLAPACK.symmetricSquares(gram.elements, order: order)
    let form = try forVectors ? TridiagonalForm(reducing: gram.elements, order: order) : nil
    self.init(
      try form?.tridiagonal ?? Tridiagonal(reducing: gram.elements, order: order), probe: probe, squares: squares,
      agreeing: { try $0() }, sharing: { _ in }, rotate: { try form?.rotate($0, count: $1) })
  }
}
