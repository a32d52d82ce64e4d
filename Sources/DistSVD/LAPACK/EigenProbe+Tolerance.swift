extension EigenProbe {
  /// The errors that an eigensystem may have before it is refused.
  package struct Tolerance {
    /// The largest residual, as ``EigenProbe/residual(values:images:)`` gives it.
    package let residual: Double
    /// The largest |Σλ − tr G| ÷ max(|tr G|, λ), where λ is the ``EigenProbe/scale(_:)`` of the values.
    package let trace: Double

    /// The tolerance for eigenvectors in the width of the Gram matrix, `Scalar`, as ScaLAPACK leaves them.
    ///
    /// Right vectors have residuals of 0.4 to 1.7 ε·√order, and the trace is off by 2 ε·√order. This was measured in
    /// both precisions for dense matrices of orders 2 to 2000 on 1 to 4 ranks. Wrong vectors have a residual of about
    /// 1.
    package init<Scalar: RealScalar>(order: Int, _: Scalar.Type) {
      residual = 64 * Double(Scalar.ulpOfOne) * Double(max(order, 1)).squareRoot()
      trace = residual
    }

    /// The tolerance for some or all eigenvectors in double of a tridiagonal matrix, where every product of two vectors
    /// is tested.
    ///
    /// `dstemr` leaves products of 2 to 20 ε·order. This was measured at orders 16 to 512 for Gram matrices of noise,
    /// of scales that fall by 10³, of two equal halves and with one large direction.
    package init(products order: Int) {
      residual = 128 * .ulpOfOne * Double(max(order, 1))
      trace = Self(order: order, Double.self).trace
    }

    /// The tolerance for eigenvectors in single precision, whatever the precision of the Gram matrix.
    ///
    /// Right vectors have residuals of at most 2.2 ε·√order with the ε of single precision: 2.2 at order 3, 0.4 to 1 at
    /// orders 257 to 2048. This was measured in both precisions and with both algorithms for dense, ill-conditioned,
    /// graded, low-rank, orthogonal and zero matrices of orders 2 to 2048. The tolerance is 7 times that. The trace is
    /// off by 2 ε·√order with the ε of the Gram matrix.
    package init<Scalar: RealScalar>(narrowed order: Int, _: Scalar.Type) {
      residual = 16 * Double(Float.ulpOfOne) * Double(max(order, 1)).squareRoot()
      trace = Self(order: order, Scalar.self).trace
    }
  }
}
