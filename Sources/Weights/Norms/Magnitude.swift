/// About how large the elements of a matrix can be: a power of two that its Frobenius norm reaches.
package struct Magnitude {
  /// Norms whose squares, and the products that eigensolvers make of them, are far from the ends of single precision: 2^±80 for 2^±40.
  package static let plainNorms = -40..<40

  /// The exponent of the norm; nil for a matrix of zeros.
  package let exponent: Int?

  /// The magnitude of 1.
  package static let one = Magnitude(exponent: 0)

  /// A known magnitude; nil for zeros.
  package init(exponent: Int?) { self.exponent = exponent }

  /// The magnitude of a matrix with this ‖·‖²_F.
  package init(_ squaredNorm: Double) {
    self.init(exponent: squaredNorm > 0 ? Int(squaredNorm.squareRoot().exponent) : nil)
  }

  /// The magnitude of the product of two matrices, at most.
  package static func * (a: Magnitude, b: Magnitude) -> Magnitude {
    guard let x = a.exponent, let y = b.exponent else { return Magnitude(exponent: nil) }
    return Magnitude(exponent: x + y)
  }

  /// e of W·2^−e, whose Frobenius norm squares and adds up safely; 0 for ordinary matrices.
  package var working: Int { exponent.map { Self.plainNorms.contains($0) ? 0 : $0 } ?? 0 }
}

extension Norms {
  /// e of every matrix, by ordinal: what is decomposed is W·2^−e. Multiplying by a power of two rounds nothing.
  ///
  /// It depends on norms alone, so that every rank finds the same without a word.
  package var exponents: [Int] { squared.map { Magnitude($0).working } }
}

extension Double {
  /// self · 2^`exponent`: exact while the result is a normal number, infinite if it is too large.
  package func times(powerOfTwo exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: self) }
}
