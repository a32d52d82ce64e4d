import DistSVD
import MPI
import RunCore
import ShardIO
import Weights

/// A matrix to be worked on, and the ranks that work on it together.
package struct MatrixTask {
  /// The number of elements of W that a member of a team holds while the Gram matrix is formed.
  package static let teamBandElements = 1 << 22

  package let matrix: Catalog.Matrix
  /// The position of the matrix in its catalog.
  package let ordinal: Int
  /// The exponent e by which the matrix is scaled.
  package let exponent: Int
  /// The scaled matrix W·2^−e.
  package let source: MatrixPanels
  /// ‖W·2^−e‖²_F as the norms pass found it. The squared singular values must add up to it.
  package let squaredNorm: Double
  /// The ranks that share the work; nil if this rank does it alone.
  package let team: MatrixTeam?

  /// Opens a matrix of `input`.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Throws: ``RunFailure`` if its shard cannot be opened.
  package init(_ ordinal: Int, of input: MatrixInput, team: MatrixTeam?) throws {
    let (matrix, exponent) = (input.catalog.matrices[ordinal], input.exponents[ordinal])
    self.matrix = matrix
    self.ordinal = ordinal
    self.exponent = exponent
    self.team = team
    squaredNorm = input.norms.squared[ordinal].times(powerOfTwo: -2 * exponent)
    let open = { try input.shards.panels(of: matrix).scaled(by: exponent) }
    source = if let team { try team.communicator.agreeing(open) } else { try open() }
  }

  /// The position of this rank in the team.
  package var member: Int { team?.communicator.rank ?? 0 }
  /// How many ranks share the work.
  package var memberCount: Int { team?.communicator.size ?? 1 }
  /// Whether this rank keeps the result: it works alone, or is the first member of the team.
  package var isOwner: Bool { member == 0 }

  /// Does work that needs no communication. A failure of one member becomes a failure of all.
  ///
  /// Collective in a team: every member calls it.
  package func locally<Value>(_ work: () throws -> Value) throws -> Value {
    guard let team else { return try work() }
    return try team.communicator.agreeing {
      do { return try work() } catch let error as SolverError { throw RunFailure(error, on: matrix) }
    }
  }

  /// Whether every member wants to go on.
  ///
  /// Collective in a team: every member calls it.
  package func agreesToGoOn(_ goesOn: Bool) throws -> Bool {
    try team?.agreesToGoOn(goesOn) ?? goesOn
  }

  /// The sums of `values` over the team, element by element.
  ///
  /// Collective in a team: every member calls it.
  package func summed(_ values: [Int]) throws -> [Int] {
    guard let team else { return values }
    var sum = values
    try team.communicator.allReduce(&sum, .sum)
    return sum
  }

  /// Compares Σσ² with ‖W‖²_F.
  ///
  /// A solver that returns wrong values, or a checkpoint that changed after the norms pass, is found out here.
  ///
  /// - Parameters:
  ///   - singularValues: all singular values, in the units of ``source``.
  ///   - precision: the precision in which they were computed.
  /// - Throws: ``RunFailure`` naming the tensor.
  package func check(singularValues: [Double], precision: Precision) throws {
    let sum = singularValues.reduce(0) { $0 + $1 * $1 }
    let tolerance = precision == .f64 ? 1e-9 : 1e-3
    func inUnitsOfWeights(_ squares: Double) -> Double { squares.times(powerOfTwo: 2 * exponent) }
    guard abs(sum - squaredNorm) <= tolerance * squaredNorm else {
      throw RunFailure(
        .internal,
        "tensor \(quoted(matrix.name)): the squared singular values add up to \(inUnitsOfWeights(sum)), the squared weights to "
          + "\(inUnitsOfWeights(squaredNorm)): "
          + "the eigensolver failed, or the checkpoint changed during the run")
    }
  }
}

extension RunFailure {
  /// The failure of a solver on a matrix, which names the tensor.
  package init(_ error: SolverError, on matrix: Catalog.Matrix) {
    let remedy =
      if case .outOfMemory = error { "; start fewer processes on a node, or say with --memory what each may hold" } else
      { "" }
    self.init(.internal, "tensor \(quoted(matrix.name)): \(error)\(remedy)")
  }
}

extension Journal {
  /// Starts the record of a task's matrix. The owner of the matrix calls it.
  package func begin(_ task: MatrixTask) throws -> RecordWriter {
    try begin(task.ordinal, named: task.matrix.name, members: task.memberCount)
  }
}
