extension ThinSVD {
  /// The floating-point operations of a decomposition, by what they are like.
  package struct Operations {
    /// The Gram matrix and the images of its vectors, which a team shares.
    package let products: Double
    /// The eigenvectors of the Gram matrix, which a team shares.
    package let eigenvectors: Double

    package var total: Double { products + eigenvectors }
  }

  /// The operations for a `rows × columns` matrix without small singular values; no shape tells whether it has some.
  package static func operations(rows: Int, columns: Int, _ wanted: Triplets) -> Operations {
    let shape = PanelShape(rows: rows, columns: columns)
    let (core, stream) = (Double(shape.core), Double(shape.stream))
    let count = Double(wanted.positions(order: shape.core).count)
    // A tridiagonal form, its eigenvectors where divide and conquer finds all, and their product with Q.
    let vectors =
      4 / 3 * core * core * core + (count == core ? 4 / 3 * core * core * core : 0) + 2 * core * core * count
    return Operations(
      products: stream * core * core + 2 * stream * core * count, eigenvectors: vectors)
  }

  /// The memory that one of `members` ranks needs at most, in bytes, without that of the source.
  ///
  /// - Parameter bandElements: the elements of the source that a member of a team holds at a time. It plays no part on
  ///   one rank.
  package static func bytes(rows: Int, columns: Int, _ wanted: Triplets, members: Int = 1, bandElements: Int = 0)
    -> Double
  {
    let shape = PanelShape(rows: rows, columns: columns)
    let (core, stream) = (Double(shape.core), Double(shape.stream))
    // Trailing vectors may need all.
    let count = if case .leading(let count) = wanted { Double(min(count, shape.core)) } else { core }
    // Divide and conquer, which finds all vectors, has a workspace as large as they are.
    let near = (count == core ? 5 : 4) * core * count
    let gram = GramSpectrum.doubles(shape, vectors: near, members: members, bandElements: bandElements)
    // Both sides, R, its decomposition with LAPACK's workspace, and both sides as it turns them; in a team, the longer side
    // while it is added up.
    let sides =
      (2.5 * core + 1.5 * stream) * count + 8 * count * count + 3 * shape.longestProjectionPanel
      + (members > 1 ? stream * count : 0)
    // The vectors that test the results, and the workspaces of LAPACK, are some vectors of each side.
    return 8 * (max(gram, sides) + 200 * (core + stream))
  }
}
