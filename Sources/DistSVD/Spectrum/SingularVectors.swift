/// Some orthonormal vectors.
///
/// Of each, the component of largest magnitude is positive: the first of those within 1e-6 of it, so that rounding does not choose. Left and right vectors of a matrix are each given
/// this sign by themselves: σ_k·u_k·v_kᵀ is its part but for the sign.
public struct SingularVectors {
  /// How long each vector is.
  public let dimension: Int
  /// How many there are.
  public let count: Int
  /// `dimension × count`, column-major, in descending order of singular value.
  public let elements: AlignedBuffer<Double>

  /// Takes over `elements`, orthonormal columns of any sign.
  init(_ elements: AlignedBuffer<Double>, dimension: Int, count: Int) {
    self.dimension = dimension
    self.count = count
    self.elements = elements
    for column in 0..<count {
      let vector = elements.start + column * dimension
      var largest = 0.0
      for index in 0..<dimension { largest = max(largest, abs(vector[index])) }
      let first = (0..<dimension).first { abs(vector[$0]) >= largest * (1 - 1e-6) } ?? 0
      if dimension > 0, vector[first] < 0 { for index in 0..<dimension { vector[index] = -vector[index] } }
    }
  }

  /// Vectors that were found before: `elements` as ``elements`` has them, orthonormal.
  ///
  /// - Throws: ``SolverError`` if there is no memory.
  public init(_ elements: [Double], dimension: Int) throws(SolverError) {
    let buffer = try AlignedBuffer<Double>(count: elements.count)
    _ = buffer.elements.update(fromContentsOf: elements)
    self.init(buffer, dimension: dimension, count: dimension > 0 ? elements.count / dimension : 0)
  }

  /// Vector `index`, as an array.
  public subscript(index: Int) -> [Double] {
    withExtendedLifetime(elements) { Array(elements.elements[index * dimension..<(index + 1) * dimension]) }
  }
}

/// Which singular vectors are wanted.
public struct LeadingVectors: Sendable, Equatable {
  /// A side of the matrix.
  public enum Side: Sendable, CaseIterable {
    /// Vectors as long as the matrix has rows.
    case left
    /// Vectors as long as the matrix has columns.
    case right
  }

  /// How many; at least 1, and no more than min(m, n) are found.
  public let count: Int
  /// Of which sides.
  public let sides: Set<Side>

  /// The first `count` vectors of `sides`.
  public init(_ count: Int, _ sides: Set<Side>) {
    self.count = max(1, count)
    self.sides = sides
  }
}
