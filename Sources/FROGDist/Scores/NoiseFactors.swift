import CKernels
import DistSVD

/// S ≈ row·columnᵀ: the scale of dynamic noise for frozen weights, in m + n numbers instead of m·n.
struct NoiseFactors {
  /// Row means of S, m of them.
  let row: [Float]
  /// Column means of S divided by the mean of S, n of them; all 1 for a matrix of zeros.
  let column: [Float]
  /// ‖S − row·columnᵀ‖_F / ‖S‖_F; 0 for a matrix of zeros.
  let relativeError: Double
}

/// Adds up what the noise factors need while the panels of S pass by.
struct NoiseAccumulator {
  private var rowSums: [Double]
  private var columnSums: [Double]
  private var sumOfSquares = 0.0
  /// |W·V|ᵀ·x, where x are the means along the streaming side. With it the error of the factors needs no second pass over S:
  /// Σ S_ij·x_i·y_j = (|W·V|ᵀx)·(|V|ᵀy).
  private let projected: AlignedBuffer<Float>

  init(rows: Int, columns: Int) throws {
    rowSums = [Double](repeating: 0, count: rows)
    columnSums = [Double](repeating: 0, count: columns)
    projected = try AlignedBuffer(count: min(rows, columns))
  }

  /// Takes in a panel; the panels come in order.
  mutating func add(_ panel: ScorePanels.Panel, shape: PanelShape) throws {
    let width = panel.columns.count
    columnSums.withUnsafeMutableBufferPointer { sums in
      guard let first = sums.baseAddress, let scores = panel.scores.baseAddress else { return }
      for (index, row) in panel.rows.enumerated() {
        rowSums[row] += frog_row_moments(
          scores + index * width, width, first + panel.columns.lowerBound, &sumOfSquares)
      }
    }
    let stream = shape.isTall ? panel.rows : panel.columns
    let means = try AlignedBuffer<Float>(count: stream.count)
    for (index, position) in stream.enumerated() {
      means.elements[index] = Float((shape.isTall ? rowSums[position] : columnSums[position]) / Double(shape.core))
    }
    let (storedRows, storedColumns) = shape.isTall ? (shape.core, stream.count) : (stream.count, shape.core)
    LocalBLAS.accumulate(
      .init(panel.projection, storedRows: storedRows, transposed: !shape.isTall), storedColumns: storedColumns,
      times: means.elements, into: projected.elements)
  }

  /// The factors, once all panels are in.
  func factors(_ panels: ScorePanels) throws -> NoiseFactors {
    let (rows, columns) = (rowSums.count, columnSums.count)
    let rowMeans = rowSums.map { $0 / Double(columns) }
    let columnMeans = columnSums.map { $0 / Double(rows) }
    let mean = rowMeans.reduce(0, +) / Double(rows)
    guard mean > 0 else {
      return NoiseFactors(
        row: [Float](repeating: 0, count: rows), column: [Float](repeating: 1, count: columns), relativeError: 0)
    }
    let core = panels.shape.core
    let coreMeans = try AlignedBuffer<Float>(count: core)
    for (index, value) in (panels.shape.isTall ? columnMeans : rowMeans).enumerated() {
      coreMeans.elements[index] = Float(value)
    }
    let weighted = try AlignedBuffer<Float>(count: core)
    panels.accumulateAbsolute(transposed: true, times: coreMeans.elements, into: weighted.elements)
    let cross = zip(projected.elements, weighted.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) } / mean
    let norm = { (values: [Double]) in values.reduce(0) { $0 + $1 * $1 } }
    let squaredError = sumOfSquares - 2 * cross + norm(rowMeans) * norm(columnMeans) / (mean * mean)
    return NoiseFactors(
      row: rowMeans.map { Float($0) }, column: columnMeans.map { Float($0 / mean) },
      relativeError: (max(squaredError, 0) / sumOfSquares).squareRoot())
  }
}
