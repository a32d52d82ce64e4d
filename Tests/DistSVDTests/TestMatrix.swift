import DistSVD
import Foundation

/// A matrix in memory, as a source of panels.
struct TestMatrix: PanelSource {
  let rows: Int
  let columns: Int
  let elements: [Double]

  init(rows: Int, columns: Int, _ element: (Int, Int) -> Double) {
    self.rows = rows
    self.columns = columns
    elements = (0..<rows * columns).map { element($0 / columns, $0 % columns) }
  }

  /// U·diag(values)·Vᵀ with U and V reflections of unit vectors: its singular values are `values`, exactly but for rounding.
  init(rows: Int, columns: Int, singularValues values: [Double]) {
    func direction(_ size: Int, _ seed: Double) -> [Double] {
      let raw = (0..<size).map { sin(Double($0 + 1) * seed) }
      let length = raw.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return raw.map { $0 / length }
    }
    let (u, v) = (direction(rows, 1.7), direction(columns, 2.3))
    let middle = values.indices.reduce(0) { $0 + u[$1] * values[$1] * v[$1] }
    // (1 − 2·u·uᵀ)·D·(1 − 2·v·vᵀ), element by element.
    self.init(rows: rows, columns: columns) { row, column in
      let (inRow, inColumn) = (row < values.count ? values[row] : 0, column < values.count ? values[column] : 0)
      return (row == column ? inRow : 0) - 2 * u[row] * u[column % rows] * (column < rows ? inColumn : 0)
        - 2 * (row < columns ? inRow * v[row] : 0) * v[column] + 4 * middle * u[row] * v[column]
    }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    fill(rows, columns) { panel[$0] = Float($1) }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    fill(rows, columns) { panel[$0] = $1 }
  }

  private func fill(_ rows: Range<Int>, _ columns: Range<Int>, _ write: (Int, Double) -> Void) {
    var position = 0
    for row in rows {
      for column in columns {
        write(position, elements[row * self.columns + column])
        position += 1
      }
    }
  }
}
