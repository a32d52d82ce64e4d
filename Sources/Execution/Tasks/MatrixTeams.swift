import DistSVD
import MPI

/// The teams that this rank has worked in. A team is set up when its first matrix comes.
package final class MatrixTeams {
  private let world: Communicator
  private var open: [Range<Int>: MatrixTeam] = [:]

  init(_ world: Communicator) { self.world = world }

  /// The team of `ranks`, of which this rank is one; nil if `ranks` is this rank alone.
  ///
  /// Collective among `ranks`: each of them calls it. The plan brings all members to their teams in one order, so none waits for another in
  /// vain.
  func team(of ranks: Range<Int>) throws -> MatrixTeam? {
    guard ranks.count > 1 else { return nil }
    if let team = open[ranks] { return team }
    let team = MatrixTeam(try world.group(ranks, tag: ranks.lowerBound))
    open[ranks] = team
    return team
  }
}

/// The ranks that work on one matrix together.
package final class MatrixTeam {
  package let communicator: Communicator
  private var grid: ProcessGrid?

  package init(_ communicator: Communicator) { self.communicator = communicator }

  /// Whether every member wants to go on.
  ///
  /// Collective: every member calls it.
  func agreesToGoOn(_ goesOn: Bool) throws -> Bool {
    try communicator.allReduced(goesOn ? 1 : 0, .minimum) == 1
  }

  /// The members of the team as ScaLAPACK sees them; made by the first call.
  ///
  /// Collective: every member calls it.
  package func processGrid() -> ProcessGrid {
    if let grid { return grid }
    let made = ProcessGrid(communicator)
    grid = made
    return made
  }
}
