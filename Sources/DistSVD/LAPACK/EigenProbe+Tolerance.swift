extension EigenProbe {
  /// What a result may be off before it is refused.
  package struct Tolerance {
    /// Of ``EigenProbe/residual(values:images:)``.
    package let residual: Double
    /// Of |Σλ − tr G| ÷ max(tr G, λ).
    package let trace: Double

    /// For eigenvectors in the width of the Gram matrix, `Scalar`, as ScaLAPACK leaves them.
    ///
    /// Where all is well the residual is 0.4 to 1.7 ε·√order, measured in both precisions for dense matrices of orders 2 to 2000 on 1 to 4
    /// ranks, and the trace is off by 2 ε·√order; where vectors are wrong the residual is about 1.
    package init<Scalar: RealScalar>(order: Int, _: Scalar.Type) {
      residual = 64 * Double(Scalar.ulpOfOne) * Double(max(order, 1)).squareRoot()
      trace = residual
    }

    /// For eigenvectors in double of a tridiagonal matrix, some or all, of which every product is looked at.
    ///
    /// `dstemr` keeps each within a multiple of ε·order of orthogonal to the others: 2 to 20 for orders 16 to 512, of Gram matrices of noise, of
    /// scales that fall by 10³, of equal halves and with one large direction.
    package init(products order: Int) {
      residual = 128 * .ulpOfOne * Double(max(order, 1))
      trace = Self(order: order, Double.self).trace
    }

    /// For eigenvectors in single precision, whatever the Gram matrix was in.
    ///
    /// With ε that of single precision, where all is well the residual is at most 2.2 ε·√order (order 3; 0.4 to 1 at orders 257 to 2048),
    /// measured in both precisions for both algorithms: dense, ill-conditioned, graded, low-rank, orthogonal and zero matrices of orders 2
    /// to 2048. The tolerance is 7 times that. The trace is off by 2 ε·√order of the Gram matrix's precision.
    package init<Scalar: RealScalar>(narrowed order: Int, _: Scalar.Type) {
      residual = 16 * Double(Float.ulpOfOne) * Double(max(order, 1)).squareRoot()
      trace = Self(order: order, Scalar.self).trace
    }
  }
}
