import DistSVD
import Execution
import MPI
import RunCore

/// Times `p?syevd` on teams of ranks, beside the local eigensolver.
struct TeamTimes {
  let world: Communicator
  let clock: BusyClock
  /// The orders of the matrices.
  let orders: [Int]

  /// Measures teams of one rank, of two ranks, and of all ranks.
  ///
  /// As many disjoint teams of a size as there can be work at the same time, as they do in a run.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter progress: called on every rank with what is measured next.
  /// - Throws: ``RunFailure``, the same on every rank, or `MPIError`.
  func measure(progress: (String) -> Void) throws -> [TeamMeasurement] {
    let sizes = Set([1, min(2, world.size), world.size]).sorted()
    var alone: [[Double]] = []
    for order in orders {
      progress("eigensolver, order \(order)")
      alone.append([
        try least { try local(Double.self, order: order) }, try least { try local(Float.self, order: order) },
      ])
    }
    return try sizes.flatMap { size in
      let team = try team(of: size)
      return try orders.enumerated().flatMap { number, order in
        progress("team of \(size), order \(order)")
        return [
          measurement(
            size, order, .f64, alone: alone[number][0],
            seconds: try least { try team.map { try shared(Double.self, order: order, $0) } }),
          measurement(
            size, order, .f32, alone: alone[number][1],
            seconds: try least { try team.map { try shared(Float.self, order: order, $0) } }),
        ]
      }
    }
  }

  private func measurement(
    _ team: Int, _ order: Int, _ precision: Precision, alone: Double, seconds: Double
  ) -> TeamMeasurement {
    let n = Double(order)
    let memberSeconds = max(Double(team) * seconds, 1e-9)
    return TeamMeasurement(
      team: team, order: order, precision: precision, perSecond: 9 * n * n * n / memberSeconds,
      share: alone / memberSeconds)
  }

  /// The team of this rank; nil if the rank is left over.
  private func team(of size: Int) throws -> MatrixTeam? {
    let first = world.rank / size * size
    guard first + size <= world.size else { return nil }
    return MatrixTeam(try world.group(first..<first + size, tag: first))
  }

  /// The least time of several tries that take a second together.
  ///
  /// The time of a try is the mean over all ranks of the seconds that `work` returns. A rank that has nothing to do returns nil.
  ///
  /// Collective: every rank calls it.
  private func least(_ work: () throws -> Double?) throws -> Double {
    var best = Double.infinity
    var total = 0.0
    repeat {
      try world.barrier()
      let result: Result<Double?, any Error>
      do { result = .success(try work()) } catch let error as MPIError { throw error } catch {
        result = .failure(error)
      }
      let seconds = try world.agreeing { try result.get() }
      var sums = [seconds ?? 0, seconds == nil ? 0 : 1]
      try world.allReduce(&sums, .sum)
      let mean = max(sums[0] / max(sums[1], 1), 1e-9)
      best = min(best, mean)
      total += mean
    } while total < 1
    return best
  }

  private func local<Scalar: RealScalar>(_ type: Scalar.Type, order: Int) throws -> Double {
    let gram = try GramMatrix<Scalar>(of: CalibrationMatrix(rows: order, columns: order))
    let start = clock.now
    _ = try LocalEigensolver.solve(gram)
    return clock.now - start
  }

  /// The seconds that the eigensolver of a team takes.
  ///
  /// Collective: every member calls it.
  private func shared<Scalar: RealScalar>(_ type: Scalar.Type, order: Int, _ team: MatrixTeam) throws -> Double {
    func agreeing(_ work: () throws -> Void) throws { try team.communicator.agreeing(work) }
    let matrix = try team.communicator.agreeing { try CalibrationMatrix(rows: order, columns: order) }
    let gram = try TeamGram<Scalar>(
      of: matrix, on: team.processGrid(), bandElements: MatrixTask.teamBandElements, agreeing: agreeing)
    let start = clock.now
    _ = try TeamEigensolver.solve(gram, agreeing: agreeing)
    return clock.now - start
  }
}
