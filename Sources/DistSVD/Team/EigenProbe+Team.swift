import MPI

extension EigenProbe {
  /// Computes G·x and the trace of G. Call this before the eigensolver destroys G.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Complexity: 2·order²/members operations.
  package init<Scalar: RealScalar>(_ gram: DistributedMatrix<Scalar>) throws(MPIError) {
    let product = try gram.symmetricTimes(Self.signs(order: gram.order))
    self.init(product: product, trace: try gram.trace())
  }

  /// The residual of an eigensystem, as ``residual(values:images:)`` defines it; the same number on all members.
  ///
  /// Collective: every member of the grid calls it.
  ///
  /// - Complexity: 6·order²/members operations.
  package func residual<Scalar: RealScalar>(
    values: [Double], vectors: DistributedMatrix<Scalar>
  ) throws(MPIError) -> Double {
    let coordinates = try vectors.transposedTimes(x)
    let unit = scale(values)
    let images = Images(
      rotated: try vectors.times(coordinates),
      rebuilt: try vectors.times(zip(values, coordinates).map { $0 / unit * $1 }))
    return try vectors.grid.team.broadcasting([residual(values: values, images: images)])[0]
  }
}
