extension EigenProbe {
  /// Computes G·x and the trace of G. Call this before the eigensolver destroys G.
  ///
  /// - Throws: ``SolverError/outOfMemory(bytes:)``.
  /// - Complexity: 2·order² operations.
  ///
  /// C function: `symv`.
  package init<Scalar: RealScalar>(_ gram: borrowing GramMatrix<Scalar>) throws(SolverError) {
    try self.init(lowerTriangle: gram.elements, order: gram.order)
  }
}
