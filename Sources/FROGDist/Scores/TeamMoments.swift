import DistSVD
import Execution
import MPI

/// Adds up the moments of a matrix's panels in the order of the panels, whichever member made them.
struct TeamMoments {
  private let shape: PanelShape
  private let team: Communicator?
  private var accumulator: NoiseAccumulator
  /// The moments of this member's panels, until they are exchanged.
  private var own: [PanelMoments] = []

  init(_ task: MatrixTask, shape: PanelShape) {
    self.shape = shape
    team = task.team?.communicator
    accumulator = NoiseAccumulator(shape)
  }

  /// Adds a panel of this rank. Panels must come in order.
  mutating func add(_ panel: PanelMoments) {
    if team == nil { accumulator.add(panel) } else if !panel.range.isEmpty { own.append(panel) }
  }

  /// The noise factors, on every member, once all panels have been added.
  ///
  /// Collective in a team: every member calls it.
  mutating func factors() throws -> NoiseFactors {
    if let team {
      for member in 0..<team.size {
        let numbers = try team.broadcasting(member == team.rank ? own.flatMap(\.encoded) : [], from: member)
        var rest = numbers[...]
        while !rest.isEmpty {
          let (panel, next) = PanelMoments.decode(rest, core: shape.core)
          accumulator.add(panel)
          rest = numbers[next...]
        }
      }
    }
    return accumulator.factors
  }
}
