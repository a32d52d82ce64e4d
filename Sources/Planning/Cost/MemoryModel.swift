import DistSVD

/// How much memory a rank needs for its part of a matrix, and how much it may use.
package struct MemoryModel: Sendable {
  /// The work that is done to every matrix.
  package let work: any MatrixWork
  /// The bytes that a rank may hold.
  package let limit: Int

  /// The bytes that a rank holds whatever it works on, which is the most that was measured beyond the buffers of a matrix.
  ///
  /// It counts code, MPI, 16 rounds of histograms in flight, candidates being read, and freed blocks of up to 32 MB that the allocator
  /// keeps.
  package static let base = 144 << 20

  /// The largest order that a team decomposes: even 4,096 ranks would hold 8 GB each of the matrix alone.
  private static let largestTeamOrder = 1 << 21

  package init(_ work: any MatrixWork, limit: Int) {
    self.work = work
    self.limit = limit
  }

  /// The bytes that each of `team` ranks needs at once for a matrix of m rows and n columns, ``base`` included; nil if a team of that size
  /// cannot do it at all, `Int.max` if the number does not fit.
  package func bytes(rows: Int, columns: Int, team: Int = 1) -> Int? {
    guard let needed = work.bytes(rows: rows, columns: columns, team: team) else { return nil }
    return Int(exactly: (Double(Self.base) + needed + Self.sides(rows: rows, columns: columns)).rounded(.up)) ?? .max
  }

  /// Whether `team` ranks can decompose a matrix of this order, whatever their memory.
  package static func canDecompose(order: Int, team: Int) -> Bool {
    order <= (team > 1 ? largestTeamOrder : LocalEigensolver.largestOrder)
  }

  /// Whether the randomized solver can do a matrix of this order, whatever the memory.
  package static func canApproximate(order: Int) -> Bool { order <= largestTeamOrder }

  /// The bytes for what is kept about every row and column: sums, means and factors.
  private static func sides(rows: Int, columns: Int) -> Double { 32 * (Double(rows) + Double(columns)) }
}
