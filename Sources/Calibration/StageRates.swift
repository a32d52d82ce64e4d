import DistSVD
import FROGDist
import RunCore

/// Times the stages of one matrix.
struct StageRates {
  let clock: BusyClock

  /// Measures operations per second: of Gram matrix and eigensolver in double precision, of both in single precision, and of scores.
  ///
  /// The matrix is n × n, with n the order. Small orders are repeated for at least a quarter of a second.
  func measure(order: Int) throws -> [Double] {
    let matrix = try CalibrationMatrix(rows: order, columns: order)
    let n = Double(order)
    let (double, basis) = try solver(Double.self, matrix, n)
    let (single, _) = try solver(Float.self, matrix, n)
    let shape = PanelShape(rows: matrix.rows, columns: matrix.columns)
    let ranges = shape.panels(of: PanelShape.scoreElements)
    let panels = try FactorScores(
      matrix, vectors: basis.vectors, columns: 0..<order, form: .frog, longest: ranges[0].count)
    let scores = try rate(of: 4 * n * n * n) {
      var histogram = ScoreHistogram()
      var noise = NoiseAccumulator(shape)
      for range in ranges {
        let panel = try panels.panel(range)
        histogram.count(panel.scores)
        noise.add(PanelMoments(panel, range: range, shape: shape))
      }
    }
    return double + single + [scores]
  }

  private func solver<Scalar: RealScalar>(
    _ type: Scalar.Type, _ matrix: CalibrationMatrix, _ n: Double
  ) throws -> ([Double], SingularBasis) {
    var latest: SingularBasis?
    var gramSeconds = 0.0
    var solveSeconds = 0.0
    var repeats = 0.0
    repeat {
      let start = clock.now
      let gram = try GramMatrix<Scalar>(of: matrix)
      let middle = clock.now
      latest = try LocalEigensolver.solve(gram)
      gramSeconds += middle - start
      solveSeconds += clock.now - middle
      repeats += 1
    } while gramSeconds + solveSeconds < 0.25
    guard let latest else { throw RunFailure(.internal, "nothing was measured") }
    return ([repeats * n * n * n / gramSeconds, repeats * 9 * n * n * n / solveSeconds], latest)
  }

  private func rate(of operations: Double, _ work: () throws -> Void) rethrows -> Double {
    let start = clock.now
    var repeats = 0.0
    var seconds = 0.0
    repeat {
      try work()
      repeats += 1
      seconds = clock.now - start
    } while seconds < 0.25
    return repeats * operations / seconds
  }
}
