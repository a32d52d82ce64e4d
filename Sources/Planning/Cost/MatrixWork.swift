/// The time and memory that a command needs for one matrix, from the matrix's shape alone.
///
/// Each kind of work is one type, which stands beside the code that does the work. The cost of forming a Gram matrix and nothing else is
///
///     func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost {
///       let order = min(rows, columns)
///       let operations = Double(rows) * Double(columns) * Double(order)
///       return MatrixCost(basis: operations / Double(team) / rates.gram(.f64, order: order), operations: operations)
///     }
///
/// Invariant: equal arguments give equal results to the last bit on every machine, so use no function whose rounding IEEE 754 leaves open,
/// such as `pow`. Every rank computes the schedule from these numbers by itself, and `frog-mpi plan` computes it without weights.
package protocol MatrixWork: Sendable {
  /// The cost of a matrix of m rows and n columns on each of `team` ranks that share it.
  func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost

  /// The bytes that each of `team` ranks needs at once for a matrix of m rows and n columns, beside ``MemoryModel/base``; nil if a team of
  /// that size cannot do it at all.
  ///
  /// The number is floating-point, since the sizes that a file claims may overflow integers.
  func bytes(rows: Int, columns: Int, team: Int) -> Double?

  /// Whether a matrix of this order gets a team only if it does not fit in the memory of one rank.
  ///
  /// That is wanted where the last bits of the result depend on the size of the team.
  func avoidsTeams(order: Int) -> Bool

  /// A word for tables that says how a matrix of this order is decomposed.
  func solverName(order: Int) -> String
}

/// The cost of one matrix for each rank of its team.
package struct MatrixCost: Sendable, Equatable {
  /// The seconds until the matrix is decomposed.
  package let basis: Double
  /// The seconds for all panels that follow; 0 where only the decomposition is wanted.
  package let panels: Double
  /// The floating-point operations of decomposition and panels, of all members of the team together.
  package let operations: Double

  package init(basis: Double, panels: Double = 0, operations: Double) {
    self.basis = basis
    self.panels = panels
    self.operations = operations
  }

  /// The seconds for decomposition and panels together.
  package var total: Double { basis + panels }
}
