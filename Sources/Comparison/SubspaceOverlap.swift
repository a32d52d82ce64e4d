import DistSVD

/// How far the leading singular vectors of two matrices, on one side, span the same space.
struct SubspaceOverlap: Codable, Sendable, Equatable {
  /// Mean cos² of the principal angles: 1 for one space, on average k/d for k random directions of d.
  let overlap: Double
  /// In radians, 0 to π/2.
  let largestAngle: Double

  /// Of a matrix and itself.
  static let full = SubspaceOverlap(overlap: 1, largestAngle: 0)

  private init(overlap: Double, largestAngle: Double) {
    self.overlap = overlap
    self.largestAngle = largestAngle
  }

  /// Of the first `count` vectors of either.
  ///
  /// - Complexity: O(d·count²).
  init(_ base: SingularVectors, _ tuned: SingularVectors, count: Int) throws {
    let angles = try PrincipalAngles(between: base, and: tuned, most: count)
    overlap = min(angles.overlap, 1)
    largestAngle = angles.angles.last ?? 0
  }
}
