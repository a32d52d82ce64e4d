import DistSVD
import ShardIO

/// The scores of one matrix as its team makes them, each member its own panels.
struct SharedScores {
  let task: MatrixTask
  let scores: any ScorePanels
  let share: PanelShare
  let signal: SignalView?

  var shape: PanelShape { scores.shape }

  /// Decomposes the matrix as far as its score needs it.
  ///
  /// Collective in a team: every member calls it.
  init(_ task: MatrixTask, method: ScoringMethod) throws {
    self.task = task
    let matrix = task.matrix
    let shape = PanelShape(rows: matrix.rows, columns: matrix.columns)
    let share = PanelShare(shape.panels(of: PanelShape.scoreElements), members: task.memberCount)
    self.share = share
    scores = try task.locally { () throws -> any ScorePanels in
      switch method.score {
      case .magnitude: return try MagnitudeScores(task.source, longest: share.longest)
      case .random:
        return try RandomScores(
          rows: matrix.rows, columns: matrix.columns,
          numbers: RandomNumbers(seed: method.seed, tensor: matrix.name, for: .scores), longest: share.longest)
      case .frog, .lift:
        guard case .exact(let precision) = method.solver else {
          throw RunFailure(.internal, "no solver for \(method.solver)")
        }
        let basis = try precision.basis(of: task.source)
        try task.check(singularValues: basis.singularValues, precision: precision)
        let order = basis.order
        let isLift = method.score == .lift
        return try FactorScores(
          task.source, vectors: basis.vectors, columns: (isLift ? max(0, order - method.liftRank) : 0)..<order,
          form: isLift ? .lift : .frog, longest: share.longest)
      }
    }
    signal = try task.locally { try method.signal?.view(of: matrix, longest: share.longest) }
  }

  /// This member's panel of a step.
  ///
  /// Collective in a team: every member calls it.
  func panel(_ step: Int) throws -> (panel: ScorePanel, range: Range<Int>) {
    let range = share.range(step, of: task.member)
    let panel = scores.isCollective ? try scores.panel(range) : try task.locally { try scores.panel(range) }
    if let signal { try task.locally { try signal.multiply(panel) } }
    return (panel, range)
  }
}

extension MatrixTask {
  /// Σσ² = ‖W‖²_F: a solver that lies, or a checkpoint that changed after the norms pass, shows here.
  func check(singularValues: [Double], precision: Precision) throws {
    let sum = singularValues.reduce(0) { $0 + $1 * $1 }
    let tolerance = precision == .f64 ? 1e-9 : 1e-3
    guard abs(sum - squaredNorm) <= tolerance * squaredNorm else {
      throw RunFailure(
        .internal,
        "tensor \(quoted(matrix.name)): the squared singular values add up to \(sum), the squared weights to \(squaredNorm): "
          + "the eigensolver failed, or the checkpoint changed during the run")
    }
  }
}
