import CKernels
import DistSVD

/// The noise factors of a matrix, S ≈ row·columnᵀ: the scale of dynamic noise for frozen weights, in m + n numbers in place of m·n.
struct NoiseFactors {
  /// The row means of S, m of them.
  let row: [Float]
  /// The column means of S divided by the mean of S, n of them; all 1 for a matrix of zeros.
  let column: [Float]
  /// The mean of S.
  let mean: Double
  /// The sum of S.
  let sum: Double
  /// The relative error ‖S − row·columnᵀ‖_F / ‖S‖_F; 0 for a matrix of zeros.
  let relativeError: Double
  /// The share of S's energy in its first singular direction; 1 for a matrix of zeros.
  ///
  /// It is ‖Sᵀr‖² / (‖r‖²‖S‖²_F), with r the means along the streaming side. That is a bound from below and, since S is close to rank one,
  /// nearly exact.
  let rankOneShare: Double
}

/// The sums over one panel of S that noise factors are made of.
///
/// The sums of each panel are formed alone, and added in the order of the panels. So the result does not depend on who made which panel.
package struct PanelMoments {
  /// The range of the streaming side that the panel covers.
  let range: Range<Int>
  /// The sums of S along the core side, one for each position of `range`.
  var streamSums: [Double]
  /// The sums of S over `range`, one for each position of the core side.
  var coreSums: [Double]
  /// Sᵀx over `range`, with x the means along the streaming side; one value for each position of the core side.
  var projected: [Double]
  var sumOfSquares = 0.0

  package init(_ panel: ScorePanel, range: Range<Int>, shape: PanelShape) {
    self.range = range
    let core = shape.core
    streamSums = [Double](repeating: 0, count: range.count)
    coreSums = [Double](repeating: 0, count: core)
    projected = [Double](repeating: 0, count: core)
    guard !range.isEmpty else { return }
    let width = panel.columns.count
    let lines = panel.rows.count
    guard let scores = panel.scores.baseAddress else { return }
    for line in 0..<lines {
      let row = scores + line * width
      if shape.isTall {
        streamSums[line] = frog_row_moments(row, width, &coreSums, &sumOfSquares)
        frog_add_scaled(row, width, streamSums[line] / Double(core), &projected)
      } else {
        coreSums[line] = frog_row_moments(row, width, &streamSums, &sumOfSquares)
      }
    }
    guard !shape.isTall else { return }
    let means = streamSums.map { $0 / Double(core) }
    for line in 0..<lines { projected[line] = frog_dot(scores + line * width, means, width) }
  }

  /// The moments as numbers that ranks can exchange.
  var encoded: [Double] {
    [Double(range.lowerBound), Double(range.upperBound), sumOfSquares] + streamSums + coreSums + projected
  }

  /// The moments that `numbers` begins with, and the index at which the next ones start.
  static func decode(_ numbers: ArraySlice<Double>, core: Int) -> (PanelMoments, next: Int) {
    let start = numbers.startIndex
    let range = Int(numbers[start])..<Int(numbers[start + 1])
    let sums = start + 3
    let coreStart = sums + range.count
    let end = coreStart + 2 * core
    let moments = PanelMoments(
      range: range, streamSums: Array(numbers[sums..<coreStart]),
      coreSums: Array(numbers[coreStart..<coreStart + core]),
      projected: Array(numbers[coreStart + core..<end]), sumOfSquares: numbers[start + 2])
    return (moments, end)
  }

  private init(
    range: Range<Int>, streamSums: [Double], coreSums: [Double], projected: [Double], sumOfSquares: Double
  ) {
    self.range = range
    self.streamSums = streamSums
    self.coreSums = coreSums
    self.projected = projected
    self.sumOfSquares = sumOfSquares
  }
}

/// Adds up the moments of a matrix's panels.
package struct NoiseAccumulator {
  private let shape: PanelShape
  private var streamSums: [Double]
  private var coreSums: [Double]
  private var projected: [Double]
  private var sumOfSquares = 0.0

  package init(_ shape: PanelShape) {
    self.shape = shape
    streamSums = [Double](repeating: 0, count: shape.stream)
    coreSums = [Double](repeating: 0, count: shape.core)
    projected = coreSums
  }

  /// Adds a panel. Panels must come in order.
  package mutating func add(_ panel: PanelMoments) {
    for (position, sum) in zip(panel.range, panel.streamSums) { streamSums[position] = sum }
    for index in coreSums.indices {
      coreSums[index] += panel.coreSums[index]
      projected[index] += panel.projected[index]
    }
    sumOfSquares += panel.sumOfSquares
  }

  /// The noise factors, once all panels have been added.
  var factors: NoiseFactors {
    let streamMeans = streamSums.map { $0 / Double(shape.core) }
    let coreMeans = coreSums.map { $0 / Double(shape.stream) }
    let (rowMeans, columnMeans) = shape.isTall ? (streamMeans, coreMeans) : (coreMeans, streamMeans)
    let mean = rowMeans.reduce(0, +) / Double(rowMeans.count)
    let sum = streamSums.reduce(0, +)
    guard mean > 0 else {
      return NoiseFactors(
        row: rowMeans.map { _ in 0 }, column: columnMeans.map { _ in 1 }, mean: 0, sum: 0, relativeError: 0,
        rankOneShare: 1)
    }
    let norm = { (values: [Double]) in values.reduce(0) { $0 + $1 * $1 } }
    // Σ S_ij·x_i·y_j = (Sᵀx)·y, so the error of the factors needs no second pass over S.
    let cross = zip(projected, coreMeans).reduce(0) { $0 + $1.0 * $1.1 } / mean
    let squaredError = sumOfSquares - 2 * cross + norm(rowMeans) * norm(columnMeans) / (mean * mean)
    return NoiseFactors(
      row: rowMeans.map { Float($0) }, column: columnMeans.map { Float($0 / mean) }, mean: mean, sum: sum,
      relativeError: (max(squaredError, 0) / sumOfSquares).squareRoot(),
      rankOneShare: min(1, norm(projected) / (norm(streamMeans) * sumOfSquares)))
  }
}
