/// Some leading singular vectors of one side of a matrix, orthonormal.
///
/// Invariant: the component of largest magnitude of each vector is positive. Where several components are within 1e-6
/// of the largest, the first of them is, so that rounding does not choose.
///
/// Left and right vectors are each given this sign on their own, so σ_k·u_k·v_kᵀ is a part of the matrix only up to its
/// sign.
package struct SingularVectors {
  /// The length of each vector.
  package let dimension: Int
  /// The number of vectors.
  package let count: Int
  /// The vectors as columns, `dimension × count`, column-major, in descending order of singular value.
  package let elements: AlignedBuffer<Double>

  /// Takes over `elements`, orthonormal columns of any sign, and gives them the sign of the invariant.
  package init(_ elements: AlignedBuffer<Double>, dimension: Int, count: Int) {
    self.dimension = dimension
    self.count = count
    self.elements = elements
    for column in 0..<count {
      let vector = UnsafeMutableBufferPointer(
        rebasing: elements.elements[column * dimension..<(column + 1) * dimension])
      if Self.isReversed(vector) { for index in vector.indices { vector[index] = -vector[index] } }
    }
  }

  /// Whether a vector has the other sign than that of the invariant.
  static func isReversed<Scalar: RealScalar>(_ vector: UnsafeMutableBufferPointer<Scalar>) -> Bool {
    let largest = vector.reduce(0) { max($0, abs($1)) }
    return vector.first { abs($0) >= largest * (1 - 1e-6) }.map { $0 < 0 } ?? false
  }

  /// Restores vectors that were found before.
  ///
  /// - Parameter elements: the vectors as ``elements`` holds them.
  /// - Throws: ``SolverError/outOfMemory(bytes:)``.
  package init(_ elements: [Double], dimension: Int) throws(SolverError) {
    let buffer = try AlignedBuffer<Double>(count: elements.count)
    _ = buffer.elements.update(fromContentsOf: elements)
    self.init(buffer, dimension: dimension, count: dimension > 0 ? elements.count / dimension : 0)
  }

  /// The vector of the `index`-th largest singular value, counted from 0.
  package subscript(index: Int) -> [Double] {
    withExtendedLifetime(elements) { Array(elements.elements[index * dimension..<(index + 1) * dimension]) }
  }
}

/// A request for leading singular vectors.
package struct LeadingVectors: Sendable, Equatable {
  /// A side of the matrix.
  package enum Side: Sendable, CaseIterable {
    /// The left vectors, which are as long as the matrix has rows.
    case left
    /// The right vectors, which are as long as the matrix has columns.
    case right
  }

  /// The number of vectors of each side, at least 1. No more than min(m, n) are found.
  package let count: Int
  /// The sides whose vectors are wanted.
  package let sides: Set<Side>

  /// The triplets that the vectors belong to.
  var triplets: Triplets { .leading(count) }

  /// Asks for the first `count` vectors of `sides`.
  package init(_ count: Int, _ sides: Set<Side>) {
    self.count = max(1, count)
    self.sides = sides
  }
}
