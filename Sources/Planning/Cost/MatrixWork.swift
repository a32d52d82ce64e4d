/// What a command does to every matrix, as far as time and memory are concerned; one type for each kind of work, beside the code that
/// does it.
///
/// All of it follows from shapes, so that every rank comes to the same plan, and a plan needs no weights.
package protocol MatrixWork: Sendable {
  /// The cost of an m × n matrix on each of `team` ranks that share it.
  func cost(rows: Int, columns: Int, team: Int, at rates: MachineRates) -> MatrixCost

  /// Bytes that each of `team` ranks needs at once for an m × n matrix, beside ``MemoryModel/base``; nil if a team of that size
  /// cannot do it at all.
  ///
  /// In floating point, since the sizes that a file claims may overflow integers.
  func bytes(rows: Int, columns: Int, team: Int) -> Double?

  /// Whether a matrix of this order gets a team only where nothing else would do: whether the last bits of the result depend on the
  /// size of the team.
  func avoidsTeams(order: Int) -> Bool

  /// A word for tables that says how a matrix of this order is decomposed.
  func solverName(order: Int) -> String
}

/// What one matrix costs each rank of its team.
package struct MatrixCost: Sendable, Equatable {
  /// Seconds until the matrix is decomposed.
  package let basis: Double
  /// Seconds for all panels that follow; 0 where the decomposition is all that is wanted.
  package let panels: Double
  /// Floating-point operations of both, of all members of a team together.
  package let operations: Double

  /// What is known of a matrix.
  package init(basis: Double, panels: Double = 0, operations: Double) {
    self.basis = basis
    self.panels = panels
    self.operations = operations
  }

  /// Seconds for all of it.
  package var total: Double { basis + panels }
}
