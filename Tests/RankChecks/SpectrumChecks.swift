import DistSVD
import MPI

/// A matrix of integers that falls off so steeply that its Gram matrix does not resolve it, or does not reach full rank; or as ``CheckMatrix``.
private struct SpectrumMatrix: PanelSource, CustomStringConvertible {
  let base: CheckMatrix
  /// Row and column i are divided by 2 to the power of i·steepness.
  let steepness: Double

  var rows: Int { base.rows }
  var columns: Int { base.columns }
  var description: String { "\(base), steepness \(steepness)" }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    throw CheckFailure(code: 2, message: "spectra are found in double")
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try base.read(rows: rows, columns: columns, into: panel)
    guard steepness > 0 else { return }
    for (i, row) in rows.enumerated() {
      for (j, column) in columns.enumerated() {
        let power = Int(Double(min(row, self.columns) + min(column, self.rows)) * steepness)
        panel[i * columns.count + j] *= Double(sign: .plus, exponent: -power, significand: 1)
      }
    }
  }
}

private func rank(_ values: [Double], _ matrix: SpectrumMatrix) -> Int {
  values.count { $0 > (values.first ?? 0) * Double(max(matrix.rows, matrix.columns)) * .ulpOfOne }
}

func checkSpectrum(_ world: Communicator, _ e: inout Expectations) throws {
  let leading = LeadingVectors(3, [.left, .right])
  // Square, tall by more than two panels, wide; of full rank, of low rank, zeros; resolved by the Gram matrix and not.
  let matrices = [1, 2, 3, 31, 33, 64, 130].flatMap { order in
    (CheckMatrix.all(order: order) + [CheckMatrix(rows: 5 * order + 3, columns: order, kind: .dense)]).flatMap { base in
      (base.kind == .dense ? [0, 8 / Double(order), 0.01] : [0]).map { SpectrumMatrix(base: base, steepness: $0) }
    }
  }
  let references = try matrices.map { ($0, try SpectrumSolver.solve($0, leading: leading)) }
  for size in world.rank + 1...world.size {
    let grid = ProcessGrid(try world.group(0..<size))
    for (matrix, alone) in references {
      let found = try SpectrumSolver.solve(
        matrix, leading: leading, on: grid, bandElements: 20 * matrix.base.order, agreeing: grid.team.agreeing)
      let place = "\(matrix), \(grid.rows) × \(grid.columns)"
      let largest = alone.singularValues.first ?? 0
      // A team takes no inverse.
      e.expect(
        (found.method == .gram) == (alone.method == .gram), "\(place): \(found.method), alone \(alone.method)")
      e.expectEqual(found.rescue, nil)
      e.expectEqual(found.resolution, 0)
      e.expectEqual(found.singularValues.count, matrix.base.order)
      for (value, truth) in zip(found.singularValues, alone.singularValues) {
        let gram = Double(matrix.base.order) * .ulpOfOne * largest * largest / max(truth, .leastNormalMagnitude)
        let bound = 8 * Double(matrix.base.order) * .ulpOfOne * largest + (alone.method == .qr ? 0 : gram)
        e.expect(abs(value - truth) <= bound, "\(place): σ = \(truth), found \(value)")
      }
      e.expectEqual(rank(found.singularValues, matrix), rank(alone.singularValues, matrix))
      checkVectors(found, alone, place, &e)
    }
    try checkRepeatability(grid, &e)
  }
}

/// Vectors span what those of one rank span, where a gap below tells them from the others.
private func checkVectors(_ found: SpectrumResult, _ alone: SpectrumResult, _ place: String, _ e: inout Expectations) {
  let values = alone.singularValues
  for (team, own) in [(found.left, alone.left), (found.right, alone.right)] {
    guard let team, let own else {
      e.expect(false, "\(place): no vectors")
      continue
    }
    e.expect(team.dimension == own.dimension && team.count == own.count, "\(place): other vectors than alone")
    for a in 0..<team.count {
      for b in 0...a {
        let product = zip(team[a], team[b]).reduce(0) { $0 + $1.0 * $1.1 }
        e.expect(abs(product - (a == b ? 1 : 0)) < 1e-13, "\(place): vectors \(a) and \(b): \(product)")
      }
      let gap = min(
        a > 0 ? values[a - 1] - values[a] : .infinity, a + 1 < values.count ? values[a] - values[a + 1] : .infinity)
      if gap > 1e-3 * values[0] {
        let difference = zip(team[a], own[a]).reduce(0) { max($0, abs($1.0 - $1.1)) }
        e.expect(difference < 1e-9, "\(place): vector \(a) is off by \(difference)")
      }
    }
  }
}

/// The same team finds the same bits every time, and each of its members the same as the others.
private func checkRepeatability(_ grid: ProcessGrid, _ e: inout Expectations) throws {
  for steepness in [0, 0.1] {
    let matrix = SpectrumMatrix(
      base: CheckMatrix(rows: 500, columns: 130, kind: .dense), steepness: steepness)
    let bits = try (0..<3).map { _ in
      let found = try SpectrumSolver.solve(
        matrix, leading: LeadingVectors(4, [.left, .right]), on: grid, bandElements: 1 << 13,
        agreeing: grid.team.agreeing)
      return (found.singularValues + (found.left?[3] ?? []) + (found.right?[3] ?? [])).map(\.bitPattern)
    }
    e.expect(bits[0] == bits[1] && bits[1] == bits[2], "\(grid.rows) × \(grid.columns): differs from run to run")
    e.expect(try grid.team.broadcasting(bits[0]) == bits[0], "\(grid.rows) × \(grid.columns): members differ")
  }
}

func checkSpectrumFailures(_ world: Communicator, _ e: inout Expectations) throws {
  for size in world.rank + 1...world.size {
    let grid = ProcessGrid(try world.group(0..<size))
    let team = grid.team
    // Each member alone, in each of its reads: the Gram matrix's band, the factor's lines, the vectors' panels.
    for isTall in [true, false] {
      let base = CheckMatrix(rows: isTall ? 300 : 40, columns: isTall ? 40 : 300, kind: .lowRank)
      for member in 0..<size {
        var good = 0
        while true {
          let source = CountedSource(base: base, good: member == team.rank ? good : .max)
          var heard: CheckFailure?
          do {
            _ = try SpectrumSolver.solve(
              source, leading: LeadingVectors(1, [.left, .right]), on: grid, bandElements: 1 << 20,
              agreeing: team.agreeing)
          } catch let failure as CheckFailure {
            heard = failure
          }
          if heard == nil { break }
          e.expectEqual(heard, CheckFailure(code: 66, message: "read \(good) of this member"))
          good += 1
        }
        e.expect(good >= 1, "member \(member) of \(size) has read nothing")
      }
    }
    // What is not finite, anywhere.
    var heard: CheckFailure?
    do {
      _ = try SpectrumSolver.solve(
        CountedSource(base: CheckMatrix(rows: 50, columns: 40, kind: .dense), good: .max, isFinite: false), on: grid,
        bandElements: 1 << 20, agreeing: team.agreeing)
    } catch let failure as CheckFailure {
      heard = failure
    }
    e.expectEqual(heard, CheckFailure(code: 1, message: "\(SolverError.notFinite(order: 40))"))
    e.expectEqual(try team.allReduced(1, .sum), size)
  }
}

/// A matrix that can be read so many times.
private final class CountedSource: PanelSource {
  let base: CheckMatrix
  let good: Int
  let isFinite: Bool
  var reads = 0
  var rows: Int { base.rows }
  var columns: Int { base.columns }

  init(base: CheckMatrix, good: Int, isFinite: Bool = true) {
    (self.base, self.good, self.isFinite) = (base, good, isFinite)
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    throw CheckFailure(code: 2, message: "spectra are found in double")
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    if reads == good { throw CheckFailure(code: 66, message: "read \(good) of this member") }
    reads += 1
    try base.read(rows: rows, columns: columns, into: panel)
    if !isFinite, rows.contains(7), !panel.isEmpty { panel[0] = .infinity }
  }
}

func checkCrossProducts(_ world: Communicator, _ e: inout Expectations) throws {
  for (rows, columns) in [(300, 400), (400, 300), (300, 300), (20, 10), (1, 1), (1100, 1030)] {
    let a = CheckMatrix(rows: rows, columns: columns, kind: .dense)
    let b = CheckMatrix(rows: rows, columns: columns, kind: .lowRank)
    let alone = try CrossProducts(a, b)
    for size in Set([1, min(2, world.size), world.size]).sorted() {
      guard let team = try world.split(colour: world.rank / size) else { continue }
      let found = try CrossProducts(a, b, sums: TeamChunkSums(team: team, agreeing: team.agreeing))
      e.expect(found == alone, "\(rows) × \(columns), team of \(team.size): other bits than alone")
    }
  }
  var heard: CheckFailure?
  do {
    let failing = CountedSource(base: CheckMatrix(rows: 400, columns: 300, kind: .dense), good: world.isRoot ? 0 : .max)
    _ = try CrossProducts(
      failing, CheckMatrix(rows: 400, columns: 300, kind: .dense),
      sums: TeamChunkSums(team: world, agreeing: world.agreeing))
  } catch let failure as CheckFailure {
    heard = failure
  }
  // With more ranks than blocks the first has none.
  let hasWork = world.size <= CrossProducts.blocks(rows: 400, columns: 300)
  e.expectEqual(heard, hasWork ? CheckFailure(code: 66, message: "read 0 of this member") : nil)
}
