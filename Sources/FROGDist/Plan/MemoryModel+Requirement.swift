extension MemoryModel {
  /// Bytes that a rank needs so that no matrix gets a team for lack of memory, exact scores of an approximation's audit included.
  ///
  /// A matrix that is too large for one rank whatever its memory counts with what a team of up to 64 needs.
  ///
  /// - Parameter ranks: how many there are.
  /// - Throws: ``RunFailure`` if an approximation has nothing to leave out.
  public static func requirement(
    of matrices: [Catalog.Matrix], _ workload: Workload, auditCount: Int, ranks: Int
  ) throws(RunFailure) -> Int {
    let team = TeamSizes.upTo(min(ranks, 64)).last ?? 1
    func needed(_ matrices: [Catalog.Matrix], _ workload: Workload) -> Int {
      let model = MemoryModel(workload, limit: .max)
      return matrices.map { matrix in
        model.bytes(rows: matrix.rows, columns: matrix.columns)
          ?? model.bytes(rows: matrix.rows, columns: matrix.columns, team: team) ?? .max
      }.max() ?? 0
    }
    guard case .randomized = workload.solver else { return needed(matrices, workload) }
    let approximated = try AuditSample.approximated(matrices, workload)
    let sample = AuditSample.choose(auditCount, of: matrices, among: approximated, seed: 0).map { matrices[$0] }
    return max(needed(matrices, workload), needed(sample, workload.exact))
  }
}
