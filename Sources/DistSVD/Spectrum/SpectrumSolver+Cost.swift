extension SpectrumSolver {
  /// The floating-point operations for a `rows × columns` matrix. A team shares all of them.
  ///
  /// With p = min(m, n), they are m·n·p for the Gram matrix, 4/3·p³ for its eigenvalues, and those of the vectors. The
  /// operations of the second way, where the Gram matrix does not resolve all values, are left out, since only the
  /// result tells whether they are needed.
  package static func operations(rows: Int, columns: Int, leading: LeadingVectors? = nil) -> Double {
    let shape = PanelShape(rows: rows, columns: columns)
    let (core, weights) = (Double(shape.core), Double(rows) * Double(columns))
    var operations = weights * core + 4 / 3 * core * core * core
    if let leading {
      let count = Double(min(leading.count, shape.core))
      operations += 2 * core * core * count
      if leading.sides.contains(shape.isTall ? .left : .right) {
        operations += 2 * weights * count + 4 * Double(shape.stream) * count * count
      }
    }
    return operations
  }

  /// The memory that one of `members` ranks needs at most, in bytes, without that of the source.
  ///
  /// - Parameter bandElements: the argument of a team's ``solve(_:leading:on:bandElements:agreeing:)``. It plays no
  ///   part on one rank.
  package static func bytes(
    rows: Int, columns: Int, leading: LeadingVectors? = nil, members: Int = 1, bandElements: Int = 0
  ) -> Int {
    let shape = PanelShape(rows: rows, columns: columns)
    let core = Double(shape.core)
    let count = leading.map { Double(min($0.count, shape.core)) } ?? 0
    let isFar = leading.map { $0.sides.contains(shape.isTall ? .left : .right) } ?? false
    // The vectors of T before and after they are sorted, and as an array; those of the longer side, and the copies that
    // test them.
    let near = 4 * core * count
    let far = isFar ? near + 3 * Double(shape.stream) * count + shape.longestPanel(of: PanelShape.scoreElements) : near
    let gram = GramSpectrum.doubles(shape, vectors: near, members: members, bandElements: bandElements)
    let factor =
      members > 1
      ? TeamTriangularFactor.doubles(shape, members: members)
      : core * core
        + max(
          2 * shape.longestPanel(of: PanelShape.factorElements) + 192 * core, InverseLanczos.doubles(order: shape.core))
    // On top: the vectors of the probe, T and the values, with LAPACK's workspaces of some vectors each.
    let doubles = max(gram, factor + near, far) + 48 * core
    // The sum is in floating point, since the sizes that a file claims may overflow integers.
    return Int(exactly: (8 * doubles).rounded(.up)) ?? .max
  }
}
