import MPI

extension SpectrumSolver {
  /// Finds the spectrum of `source` by a team of ranks; the result is the same on every member.
  ///
  /// Collective: every member of `grid` calls it, with the same matrix. All members take the same way.
  ///
  /// - Parameters:
  ///   - leading: the singular vectors that are wanted too. Every member gets them whole.
  ///   - bandElements: the most elements of `source` that a member holds at a time while the Gram matrix is formed.
  ///   - agreeing: does local work that may fail. If the work fails on one member, `agreeing` throws the same error on
  ///     all.
  /// - Throws: what `agreeing` throws, the same on all members, or `MPIError`.
  /// - Complexity: the operations on one rank divided by the number of members, but 10/3·m·n·p for the triangular
  ///   factor, some of whose lines several members read. p² / members doubles of memory, and twice that where the Gram
  ///   matrix does not resolve all values.
  ///
  /// The last bits depend on the number of members.
  ///
  /// C functions: `pdsytrd`, `dsterf`; `pdgeqrf`, `pdgebrd`, `dbdsqr`; `pdormtr`.
  package static func solve(
    _ source: some PanelSource, leading: LeadingVectors? = nil, on grid: ProcessGrid, bandElements: Int,
    agreeing: @escaping (() throws -> Void) throws -> Void
  ) throws -> SpectrumResult {
    let team = grid.team
    let gram = try GramSpectrum(
      of: source, vectors: leading?.triplets, on: grid, bandElements: bandElements, agreeing: agreeing)
    let values = try gram.spectrum { _ in
      try TeamTriangularFactor(of: source, on: grid, agreeing: agreeing).singularValues(agreeing: agreeing)
        .map { ($0, .qr) }
    }
    let sides = try LeadingSides(
      gram, leading, of: source, among: TeamRows(team: team, agreement: agreeing))
    return try SpectrumResult(agreed(agreeing) { try values.get() }, sides)
  }
}

extension GramSpectrum {
  /// Streams `source` once, all members together.
  ///
  /// Collective: every member of `grid` calls it.
  init(
    of source: some PanelSource, vectors wanted: Triplets?, on grid: ProcessGrid, bandElements: Int,
    agreeing: @escaping (() throws -> Void) throws -> Void
  ) throws {
    try self.init(
      GramReduction(of: source, on: grid, bandElements: bandElements, agreeing: agreeing), vectors: wanted)
  }
}

extension GramReduction {
  /// Streams `source` once, all members together.
  ///
  /// Collective: every member of `grid` calls it.
  init(
    of source: some PanelSource, on grid: ProcessGrid, bandElements: Int,
    agreeing: @escaping (() throws -> Void) throws -> Void
  ) throws {
    let gram = try TeamGram<Double>(of: source, on: grid, bandElements: bandElements, agreeing: agreeing)
    let probe = try EigenProbe(gram.matrix)
    try agreed(agreeing) { try probe.checkMatrix() }
    let squares = try gram.matrix.symmetricSquares()
    let form = try TeamTridiagonalForm(reducing: gram.matrix, agreeing: agreeing)
    self.init(
      form.tridiagonal, probe: probe, squares: squares, agreeing: agreeing,
      sharing: { try grid.team.broadcast($0, from: 0) },
      rotate: { try form.rotate($0, count: $1, agreeing: agreeing) })
  }
}
