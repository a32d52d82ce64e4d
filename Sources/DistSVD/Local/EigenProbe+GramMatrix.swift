extension EigenProbe {
  /// Takes note of G·x and of G's trace; to be called before the eigensolver destroys G.
  ///
  /// - Throws: ``SolverError/outOfMemory(bytes:)``.
  /// - Complexity: 2·order² operations.
  ///
  /// C function: `symv`.
  package init<Scalar: RealScalar>(_ gram: borrowing GramMatrix<Scalar>) throws(SolverError) {
    try self.init(lowerTriangle: gram.elements, order: gram.order)
  }
}
