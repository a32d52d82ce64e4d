import MPI

extension ThinSVD {
  /// Decomposes `source` by a team of ranks; every member gets the triplets whole.
  ///
  /// Collective: every member of `grid` calls it, with the same matrix.
  ///
  /// The members share the Gram matrix, its reduction and the images of its vectors. Every member holds both sides whole.
  /// So a team saves time, and memory only where the Gram matrix needs most of it.
  ///
  /// - Parameters:
  ///   - bandElements: the most elements of `source` that a member holds at a time while the Gram matrix is formed.
  ///   - agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same error on
  ///     all.
  /// - Throws: what `agreeing` throws, the same on all members, or `MPIError`.
  ///
  /// The last bits depend on the number of members.
  package init(
    of source: some PanelSource, _ wanted: Triplets = .all, on grid: ProcessGrid, bandElements: Int,
    agreeing: @escaping (() throws -> Void) throws -> Void
  ) throws {
    let gram = try GramSpectrum(
      of: source, vectors: wanted, on: grid, bandElements: bandElements, agreeing: agreeing)
    try self.init(gram, wanted, of: source, among: TeamRows(team: grid.team, agreement: agreeing))
  }

  /// Decomposes `source` by a team of ranks for several choices of triplets, which share the Gram matrix and its reduction.
  ///
  /// Collective: every member of `grid` calls it, with the same matrix. Errors as for one choice.
  ///
  /// - Parameter body: is called with the position of each choice and its triplets, one after the other.
  package static func forEach(
    _ wanted: [Triplets], of source: some PanelSource, on grid: ProcessGrid, bandElements: Int,
    agreeing: @escaping (() throws -> Void) throws -> Void, _ body: (_ position: Int, ThinSVD) throws -> Void
  ) throws {
    try forEach(
      wanted, of: source, GramReduction(of: source, on: grid, bandElements: bandElements, agreeing: agreeing),
      among: TeamRows(team: grid.team, agreement: agreeing), body)
  }
}
