import DistSVD
import MPI

/// Orders below, at and above the block size, and one of several blocks: on most grids some ranks have nothing.
private let orders = [1, 2, 31, 33, 130]

/// Runs `body` on teams of the first 1, 2, … all ranks; a rank sits out the teams it is not in.
private func onTeamsOfAllSizes(_ world: Communicator, _ body: (ProcessGrid) throws -> Void) throws {
  for size in world.rank + 1...world.size {
    try body(ProcessGrid(world.group(0..<size)))
  }
}

func checkTeamGram(_ world: Communicator, _ e: inout Expectations) throws {
  let matrices = orders.flatMap { CheckMatrix.all(order: $0) }.map { ($0, $0.gram()) }
  func check<Scalar: RealScalar>(_: Scalar.Type, on grid: ProcessGrid) throws {
    for (matrix, truth) in matrices {
      // One band and one panel; and many of both.
      for (bandElements, panelElements) in [(1 << 20, 1 << 20), (20 * matrix.order, 1)] {
        let gram = try TeamGram<Scalar>(
          of: matrix, on: grid, bandElements: bandElements, panelElements: panelElements,
          agreeing: grid.team.agreeing)
        let (rows, columns) = (gram.matrix.rows, gram.matrix.columns)
        var wrong = 0
        for (j, column) in columns.enumerated() {
          for (i, row) in rows.enumerated() where row >= column {
            let found = Double(gram.matrix.elements.elements[i + j * rows.count])
            if found != truth[row + column * matrix.order] { wrong += 1 }
          }
        }
        e.expect(wrong == 0, "\(Scalar.self), \(matrix), \(grid.rows) × \(grid.columns): \(wrong) elements differ")
      }
    }
  }
  try onTeamsOfAllSizes(world) { grid in
    try check(Double.self, on: grid)
    try check(Float.self, on: grid)
  }
}

/// A matrix, its Gram matrix, and its singular values by one rank.
private struct Reference {
  let matrix: CheckMatrix
  let gram: [Double]
  let squares: [Double]

  init(_ matrix: CheckMatrix) throws {
    self.matrix = matrix
    gram = matrix.gram()
    squares = try Precision.f64.basis(of: matrix).singularValues.map { $0 * $0 }
  }

  /// Checks what a team found.
  ///
  /// With ε that of the precision and u = 2⁻²⁴, the rounding of vectors that are gathered in single precision, whose length changes by
  /// at most u: |λ̂ − λ|, ‖Gv − λv‖ and the elements of VᵀV − I stay below 4·n·ε + 4u, the first two relative to λ₁.
  func check(_ basis: TeamBasis, _ precision: Precision, _ e: inout Expectations, _ grid: ProcessGrid) throws {
    let order = matrix.order
    var vectors = [Float](repeating: .nan, count: order * order)
    // In two parts, so that a part starts inside a block.
    try vectors.withUnsafeMutableBufferPointer { all in
      let cut = order * 2 / 3
      try basis.gather(0..<cut, into: UnsafeMutableBufferPointer(rebasing: all[..<(cut * order)]))
      try basis.gather(cut..<order, into: UnsafeMutableBufferPointer(rebasing: all[(cut * order)...]))
    }
    let epsilon = precision == .f64 ? Double.ulpOfOne : Double(Float.ulpOfOne)
    let unit = Double(Float.ulpOfOne) / 2
    let bound = 4 * Double(order) * epsilon + 4 * unit
    let largest = squares.first ?? 0
    let values = basis.singularValues
    let valueError = zip(values, squares).reduce(0) { max($0, abs($1.0 * $1.0 - $1.1)) }
    let (residual, orthogonality) = errors(of: vectors, values: values)
    let what = "\(precision), \(matrix), \(grid.rows) × \(grid.columns)"
    e.expect(values.count == order && values == values.sorted(by: >), "\(what): values out of order")
    e.expect(valueError <= bound * largest, "\(what): values are off by \(valueError) of \(largest)")
    e.expect(residual <= bound * largest, "\(what): residual \(residual) of \(largest)")
    e.expect(orthogonality <= bound, "\(what): orthogonality \(orthogonality)")
  }

  /// max ‖Gv − λv‖ and max |VᵀV − I|.
  private func errors(of vectors: [Float], values: [Double]) -> (Double, Double) {
    let order = matrix.order
    let wide = vectors.map(Double.init)
    var (residual, orthogonality) = (0.0, 0.0)
    gram.withUnsafeBufferPointer { gram in
      wide.withUnsafeBufferPointer { wide in
        for k in 0..<order {
          // Ascending in the basis, descending in the spectrum.
          let eigenvalue = values[order - 1 - k] * values[order - 1 - k]
          var squared = 0.0
          for i in 0..<order {
            var (image, product) = (-eigenvalue * wide[k * order + i], i == k ? -1.0 : 0)
            for j in 0..<order {
              image += gram[i * order + j] * wide[k * order + j]
              product += wide[i * order + j] * wide[k * order + j]
            }
            squared += image * image
            // A comparison with something that is not a number must not pass for a small error.
            orthogonality = abs(product) <= orthogonality ? orthogonality : abs(product)
          }
          residual = squared.squareRoot() <= residual ? residual : squared.squareRoot()
        }
      }
    }
    return (residual, orthogonality)
  }
}

func checkTeamEigensolver(_ world: Communicator, _ e: inout Expectations) throws {
  // At 40 and 64, on a grid of 2 × 2, the workspace that ScaLAPACK asks for is too small: see TeamEigensolver.Workspace.
  let small = [40, 64].map { CheckMatrix(rows: $0 + 10, columns: $0, kind: .dense) }
  let references = try (orders.flatMap { CheckMatrix.all(order: $0) } + small).map(Reference.init)
  try onTeamsOfAllSizes(world) { grid in
    for reference in references {
      for precision in Precision.allCases {
        let basis = try precision.teamBasis(
          of: reference.matrix, on: grid, bandElements: 1 << 20, agreeing: grid.team.agreeing)
        try reference.check(basis, precision, &e, grid)
        e.expectEqual(basis.rescue, nil)
      }
    }
    try checkProbe(grid, &e)
    try checkRepeatability(grid, &e)
  }
}

/// The eigensolver that is only used when the other's result is refused, in the same places.
func checkOtherTeamEigensolver(_ world: Communicator, _ e: inout Expectations) throws {
  let small = [3, 40, 63, 64, 65, 97].map { CheckMatrix(rows: $0 + 10, columns: $0, kind: .dense) }
  let references = try (orders.flatMap { CheckMatrix.all(order: $0) } + small).map(Reference.init)
  func check<Scalar: RealScalar>(_: Scalar.Type, _ precision: Precision, _ reference: Reference, on grid: ProcessGrid)
    throws
  {
    let agreeing = grid.team.agreeing
    let gram = try TeamGram<Scalar>(of: reference.matrix, on: grid, bandElements: 1 << 20, agreeing: agreeing)
    try reference.check(TeamEigensolver.solve(gram, by: .implicitQL, agreeing: agreeing), precision, &e, grid)
  }
  try onTeamsOfAllSizes(world) { grid in
    for reference in references {
      try check(Double.self, .f64, reference, on: grid)
      try check(Float.self, .f32, reference, on: grid)
    }
  }
  // Teams that work at the same time, and know nothing of each other.
  let cut = (world.size + 1) / 2
  for round in 0..<10 {
    let grid = ProcessGrid(try world.group(world.rank < cut ? 0..<cut : cut..<world.size))
    try check(Double.self, .f64, references[(round + (world.rank < cut ? 7 : 0)) % references.count], on: grid)
  }
}

/// The same team finds the same bits every time.
private func checkRepeatability(_ grid: ProcessGrid, _ e: inout Expectations) throws {
  let matrix = CheckMatrix(rows: 500, columns: 200, kind: .dense)
  let bits = try (0..<3).map { _ in
    let basis = try Precision.f64.teamBasis(
      of: matrix, on: grid, bandElements: 1 << 14, agreeing: grid.team.agreeing)
    var vectors = [Float](repeating: .nan, count: 200 * 200)
    try vectors.withUnsafeMutableBufferPointer { try basis.gather(0..<200, into: $0) }
    return vectors.map(\.bitPattern)
  }
  e.expect(bits[0] == bits[1] && bits[1] == bits[2], "\(grid.rows) × \(grid.columns): vectors differ from run to run")
}

/// The probe tells right vectors from wrong ones.
private func checkProbe(_ grid: ProcessGrid, _ e: inout Expectations) throws {
  let matrix = CheckMatrix(rows: 100, columns: 70, kind: .dense)
  let gram = try TeamGram<Double>(of: matrix, on: grid, bandElements: 1 << 20, agreeing: grid.team.agreeing)
  let probe = try EigenProbe(gram.matrix)
  let basis = try Precision.f64.basis(of: matrix)
  let values = basis.singularValues.reversed().map { $0 * $0 }
  /// The residual with `vectors(row, column)` in place of the eigenvectors.
  func residual(_ values: [Double], _ vectors: (Int, Int) -> Double) throws -> Double {
    let found = try DistributedMatrix<Double>(order: 70, on: grid)
    for (j, column) in found.columns.enumerated() {
      for (i, row) in found.rows.enumerated() {
        found.elements.elements[i + j * found.rows.count] = vectors(row, column)
      }
    }
    return try probe.residual(values: values, vectors: found)
  }
  let truth = basis.vectors.elements.map(Double.init)
  // Of the right vectors in single precision, 2⁻²⁴ times a little remains.
  let right = try residual(values) { truth[$0 + $1 * 70] }
  e.expect(right < 1e-6, "right vectors: \(right)")
  let tolerance = EigenProbe.Tolerance(order: 70, Double.self).residual
  func expectRefused(_ what: String, _ found: Double) {
    e.expect(!(found <= tolerance) && (found > 1e-4 || found.isNaN), "\(what): \(found)")
  }
  expectRefused("unit vectors", try residual(values) { $0 == $1 ? 1 : 0 })
  expectRefused("two exchanged", try residual(values) { truth[$0 + ($1 == 3 ? 60 : $1 == 60 ? 3 : $1) * 70] })
  expectRefused("one too long", try residual(values) { truth[$0 + $1 * 70] * ($1 == 0 ? 1.1 : 1) })
  expectRefused("values in another order", try residual(values.reversed()) { truth[$0 + $1 * 70] })
  expectRefused("no numbers", try residual(values) { _, _ in .nan })
  // What is wrong in G's null space shows in V·Vᵀ·x alone.
  let zero = try TeamGram<Double>(
    of: CheckMatrix(rows: 70, columns: 70, kind: .zero), on: grid, bandElements: 1 << 20, agreeing: grid.team.agreeing)
  let nothing = try EigenProbe(zero.matrix)
    .residual(values: [Double](repeating: 0, count: 70), vectors: DistributedMatrix<Double>(order: 70, on: grid))
  expectRefused("no vectors of a matrix of zeros", nothing)
}

func checkTeamFailures(_ world: Communicator, _ e: inout Expectations) throws {
  try onTeamsOfAllSizes(world) { grid in
    let team = grid.team
    let matrix = CheckMatrix(rows: 400, columns: 33, kind: .dense)
    // Each member alone, in its first band and in a later one.
    for member in 0..<team.size {
      for line in [0, 40] where line < PanelShape(matrix).share(of: member, among: team.size).count {
        let source = FailingSource(
          matrix: matrix,
          failingLine: member == team.rank
            ? PanelShape(matrix).share(of: member, among: team.size).lowerBound + line : nil)
        var heard: CheckFailure?
        do {
          _ = try Precision.f64.teamBasis(
            of: source, on: grid, bandElements: 33 * 16, agreeing: team.agreeing)
        } catch let failure as CheckFailure {
          heard = failure
        }
        let wanted = PanelShape(matrix).share(of: member, among: team.size).lowerBound + line
        e.expectEqual(heard, CheckFailure(code: 66, message: "line \(wanted) cannot be read"))
      }
    }
    // Refused before anything is read or allocated.
    let huge = FailingSource(rows: 1 << 20, columns: 1 << 20, failingLine: 0)
    var heard: CheckFailure?
    do {
      _ = try Precision.f32.teamBasis(of: huge, on: grid, bandElements: 1 << 20, agreeing: team.agreeing)
    } catch let failure as CheckFailure {
      heard = failure
    }
    let refusal = SolverError.teamOrderTooLarge(1 << 20, members: team.size)
    e.expectEqual(heard, CheckFailure(code: 1, message: "\(refusal)"))
    e.expectEqual(try team.allReduced(1, .sum), team.size)
  }
}

/// A matrix of which one line cannot be read.
private struct FailingSource: PanelSource {
  let rows: Int
  let columns: Int
  let matrix: CheckMatrix?
  let failingLine: Int?

  init(matrix: CheckMatrix, failingLine: Int?) {
    (rows, columns, self.matrix, self.failingLine) = (matrix.rows, matrix.columns, matrix, failingLine)
  }

  init(rows: Int, columns: Int, failingLine: Int?) {
    (self.rows, self.columns, self.matrix, self.failingLine) = (rows, columns, nil, failingLine)
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try check(rows)
    try matrix?.read(rows: rows, columns: columns, into: panel)
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try check(rows)
    try matrix?.read(rows: rows, columns: columns, into: panel)
  }

  private func check(_ rows: Range<Int>) throws {
    if let failingLine, rows.contains(failingLine) {
      throw CheckFailure(code: 66, message: "line \(failingLine) cannot be read")
    }
  }
}

func checkTeams(_ world: Communicator, _ e: inout Expectations) throws {
  let references = try [33, 40, 97].map {
    try Reference(CheckMatrix(rows: $0 + 50, columns: $0, kind: .dense))
  }
  // Disjoint teams of different sizes at once, each with a matrix of its own; then others, of the same ranks. Nobody waits for all.
  for round in 0..<3 * world.size {
    let cut = round % world.size
    let lower = world.rank < cut
    let team = try world.group(lower ? 0..<cut : cut..<world.size)
    let reference = references[(round + (lower ? 1 : 0)) % references.count]
    let grid = ProcessGrid(team)
    let precision: Precision = round.isMultiple(of: 2) ? .f64 : .f32
    let basis = try precision.teamBasis(
      of: reference.matrix, on: grid, bandElements: 1 << 20, agreeing: team.agreeing)
    try reference.check(basis, precision, &e, grid)
  }
  // Grids are freed, and with them what BLACS and MPI keep of them.
  let cut = (world.size + 1) / 2
  for _ in 0..<200 {
    let grid = ProcessGrid(try world.group(world.rank < cut ? 0..<cut : cut..<world.size))
    e.expect(grid.context <= 1, "context \(grid.context)")
  }
}
