import DistSVD

/// How far the leading singular vectors of two matrices, on one side, span the same space.
struct SubspaceOverlap: Codable, Sendable, Equatable {
  /// The mean cos² of the principal angles. It is 1 for one space, and k/d on average for k random directions of d.
  let overlap: Double
  /// The largest principal angle in radians, from 0 to π/2.
  let largestAngle: Double

  /// The overlap of a matrix with itself.
  static let full = SubspaceOverlap(overlap: 1, largestAngle: 0)

  private init(overlap: Double, largestAngle: Double) {
    self.overlap = overlap
    self.largestAngle = largestAngle
  }

  /// Compares the first `count` vectors of either matrix.
  ///
  /// - Complexity: O(d·count²).
  init(_ base: SingularVectors, _ tuned: SingularVectors, count: Int) throws {
    let angles = try PrincipalAngles(between: base, and: tuned, most: count)
    overlap = min(angles.overlap, 1)
    largestAngle = angles.angles.last ?? 0
  }
}
