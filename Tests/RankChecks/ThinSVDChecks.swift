import DistSVD
import MPI

/// A team finds the triplets that one rank finds: orthonormal, with W·v = σ·u, and with the signs of the rule.
func checkThinSVD(_ world: Communicator, _ e: inout Expectations) throws {
  let matrices = [1, 3, 31, 64, 100].flatMap { order in
    CheckMatrix.all(order: order) + [CheckMatrix(rows: 5 * order + 3, columns: order, kind: .dense)]
  }
  // The bounds are shares of the largest singular value, also for the smallest ones alone.
  let largest = try matrices.map { try ThinSVD(of: $0, .leading(1)).singularValues.first ?? 0 }
  for wanted in [.all, .leading(3), .trailing(2)] as [Triplets] {
    let references = try matrices.map { ($0, try ThinSVD(of: $0, wanted)) }
    for size in world.rank + 1...world.size {
      let grid = ProcessGrid(try world.group(0..<size))
      for ((matrix, alone), largest) in zip(references, largest) {
        let found = try ThinSVD(
          of: matrix, wanted, on: grid, bandElements: 20 * matrix.order, agreeing: grid.team.agreeing)
        let place = "\(matrix), \(wanted), \(grid.rows) × \(grid.columns)"
        let norm = largest * Double(matrix.order)
        e.expectEqual(found.count, alone.count)
        e.expectEqual(found.rescue, nil)
        for (value, truth) in zip(found.singularValues, alone.singularValues) {
          e.expect(abs(value - truth) <= 2 * ThinSVD.accuracy * norm, "\(place): σ = \(truth), found \(value)")
        }
        let errors = try found.errors(of: matrix, singularValues: found.singularValues)
        let least = try alone.errors(of: matrix, singularValues: alone.singularValues)
        e.expect(
          errors.left < ThinSVD.disorder && errors.right < ThinSVD.disorder, "\(place): not orthonormal: \(errors)")
        e.expect(
          errors.residual <= least.residual * (1 + 1e-6) + (2 * ThinSVD.accuracy + ThinSVD.rounding) * norm,
          "\(place): \(errors), alone \(least)")
      }
      // Every member has the same bits.
      let found = try ThinSVD(
        of: CheckMatrix(rows: 200, columns: 90, kind: .dense), wanted, on: grid, bandElements: 1 << 12,
        agreeing: grid.team.agreeing)
      let numbers = found.singularValues + (Array(found.left.elements) + Array(found.right.elements)).map { Double($0) }
      let bits = numbers.map(\.bitPattern)
      e.expect(try grid.team.broadcasting(bits) == bits, "\(grid.rows) × \(grid.columns): members differ")
    }
  }
}
