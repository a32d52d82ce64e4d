/// How large the elements of a matrix can be, as a power of two: for a matrix that was measured, 2^e ≤ ‖W‖_F < 2^(e+1).
///
/// It decides by which power of two a matrix is scaled before it is decomposed (docs/decisions/0010-powers-of-two.md).
package struct Magnitude {
  /// The exponents of ordinary norms. Their squares, at most 2^±80, and what eigensolvers make of these, are far from the ends of single
  /// precision.
  package static let plainNorms = -40..<40

  /// The exponent e of the norm; nil for a matrix of zeros.
  package let exponent: Int?

  /// The magnitude of 1.
  package static let one = Magnitude(exponent: 0)

  package init(exponent: Int?) { self.exponent = exponent }

  /// The magnitude of a matrix with this ‖·‖²_F.
  package init(_ squaredNorm: Double) {
    self.init(exponent: squaredNorm > 0 ? Int(squaredNorm.squareRoot().exponent) : nil)
  }

  /// The magnitude of the product of two norms, which the norm of the product of two matrices does not exceed.
  package static func * (a: Magnitude, b: Magnitude) -> Magnitude {
    guard let x = a.exponent, let y = b.exponent else { return Magnitude(exponent: nil) }
    return Magnitude(exponent: x + y)
  }

  /// The exponent e for which squares of W·2^−e add up safely in single precision; 0 for ordinary matrices and for zeros.
  package var working: Int { exponent.map { Self.plainNorms.contains($0) ? 0 : $0 } ?? 0 }
}

extension Norms {
  /// The exponents e of all matrices, by ordinal: W·2^−e is what is decomposed. Multiplying by a power of two rounds nothing.
  ///
  /// They depend on norms alone, so all ranks find the same ones without talking.
  package var exponents: [Int] { squared.map { Magnitude($0).working } }
}

extension Double {
  /// The number multiplied by 2^`exponent`: exact while the result is a normal number, infinite if it is too large.
  package func times(powerOfTwo exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: self) }
}
