import DistSVD

/// How much memory a rank needs for its part of a matrix, and how much it may use.
package struct MemoryModel: Sendable {
  /// What is done to every matrix.
  package let work: any MatrixWork
  /// Bytes that a rank may hold.
  package let limit: Int

  /// Bytes that a rank holds whatever it works on: code, MPI, 16 rounds of histograms in flight, candidates being read, and
  /// freed blocks of up to 32 MB that the allocator keeps: the most that was measured beyond the buffers of a matrix.
  package static let base = 144 << 20

  /// The largest order that a team decomposes: even 4,096 ranks would hold 8 GB each of the matrix alone.
  private static let largestTeamOrder = 1 << 21

  /// A model of `work` under `limit`.
  package init(_ work: any MatrixWork, limit: Int) {
    self.work = work
    self.limit = limit
  }

  /// Bytes that each of `team` ranks needs at once for an m × n matrix; nil if a team of that size cannot solve it at all.
  package func bytes(rows: Int, columns: Int, team: Int = 1) -> Int? {
    guard let needed = work.bytes(rows: rows, columns: columns, team: team) else { return nil }
    return Int(exactly: (Double(Self.base) + needed + Self.sides(rows: rows, columns: columns)).rounded(.up)) ?? .max
  }

  /// Whether `team` ranks can decompose a matrix of this order, whatever their memory.
  package static func canDecompose(order: Int, team: Int) -> Bool {
    order <= (team > 1 ? largestTeamOrder : LocalEigensolver.largestOrder)
  }

  /// Whether a randomized solver can be given a matrix of this order.
  package static func canApproximate(order: Int) -> Bool { order <= largestTeamOrder }

  /// Bytes for what is kept of every row and column: sums, means and factors.
  private static func sides(rows: Int, columns: Int) -> Double { 32 * (Double(rows) + Double(columns)) }
}
