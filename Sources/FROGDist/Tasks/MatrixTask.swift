import DistSVD
import MPI

/// A matrix to be scored, and the ranks that do it together.
struct MatrixTask {
  let matrix: Catalog.Matrix
  let ordinal: Int
  let units: ScoreUnits
  /// W·2^−e, e of `units`.
  let source: MatrixPanels
  /// ‖W·2^−e‖²_F by the norms pass, which the squared singular values must add up to.
  let squaredNorm: Double
  /// nil if this rank does it alone.
  let team: MatrixTeam?

  init(
    _ matrix: Catalog.Matrix, ordinal: Int, norms: Norms, units: ScoreUnits, shards: OpenShards, team: MatrixTeam?
  ) throws {
    self.matrix = matrix
    self.ordinal = ordinal
    self.team = team
    self.units = units
    squaredNorm = norms.squared[ordinal].times(powerOfTwo: -2 * units.weights)
    let open = { try shards.panels(of: matrix).scaled(by: units.weights) }
    source = if let team { try team.communicator.agreeing(open) } else { try open() }
  }

  /// Position of this rank in the team.
  var member: Int { team?.communicator.rank ?? 0 }
  /// How many share the work.
  var memberCount: Int { team?.communicator.size ?? 1 }
  /// Whether this rank keeps what comes out.
  var isOwner: Bool { member == 0 }

  /// Work that talks to nobody: a failure of one member becomes everyone's.
  ///
  /// Collective in a team: every member calls it.
  func locally<Value>(_ work: () throws -> Value) throws -> Value {
    guard let team else { return try work() }
    return try team.communicator.agreeing {
      do { return try work() } catch let error as SolverError { throw RunFailure(error, on: matrix) }
    }
  }

  /// Whether every member wants to go on.
  ///
  /// Collective in a team: every member calls it.
  func agreesToGoOn(_ goesOn: Bool) throws -> Bool {
    guard let team else { return goesOn }
    return try team.communicator.allReduced(goesOn ? 1 : 0, .minimum) == 1
  }

  /// `values` summed over the team.
  ///
  /// Collective in a team: every member calls it.
  func summed(_ values: [Int]) throws -> [Int] {
    guard let team else { return values }
    var sum = values
    try team.communicator.allReduce(&sum, .sum)
    return sum
  }
}

/// Which member makes which panels of a matrix.
struct PanelShare {
  private let panels: [Range<Int>]
  private let members: Int

  /// Each member gets a run of consecutive panels.
  init(_ panels: [Range<Int>], members: Int) {
    self.panels = panels
    self.members = members
  }

  /// The most panels any member has.
  var steps: Int { (0..<members).map { own($0).count }.max() ?? 0 }

  /// The longest panel.
  var longest: Int { panels.map(\.count).max() ?? 0 }

  /// The panel that `member` makes in a step; empty if it has none left.
  func range(_ step: Int, of member: Int) -> Range<Int> {
    let own = own(member)
    return step < own.count ? panels[own.lowerBound + step] : 0..<0
  }

  private func own(_ member: Int) -> Range<Int> {
    panels.count * member / members..<panels.count * (member + 1) / members
  }
}
