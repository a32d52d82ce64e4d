import DistSVD
import Foundation

/// A matrix in memory, as a source of panels.
package struct TestMatrix: PanelSource, Sendable {
  package let rows: Int
  package let columns: Int
  /// `rows × columns`, row-major.
  package let elements: [Double]

  package init(rows: Int, columns: Int, _ element: (_ row: Int, _ column: Int) -> Double) {
    self.rows = rows
    self.columns = columns
    elements = (0..<rows * columns).map { element($0 / columns, $0 % columns) }
  }

  /// Independent elements, spread evenly over −1 ..< 1.
  package init(noise rows: Int, _ columns: Int, seed: UInt64) {
    self.rows = rows
    self.columns = columns
    elements = noise(rows * columns, seed: seed)
  }

  /// U·diag(values)·Vᵀ with U and V reflections of unit vectors: its singular values are `values`, exactly but for rounding.
  package init(rows: Int, columns: Int, singularValues values: [Double]) {
    func direction(_ size: Int, _ step: Double) -> [Double] {
      let raw = (0..<size).map { sin(Double($0 + 1) * step) }
      let length = raw.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return raw.map { $0 / length }
    }
    let (u, v) = (direction(rows, Self.leftStep), direction(columns, Self.rightStep))
    let middle = values.indices.reduce(0) { $0 + u[$1] * values[$1] * v[$1] }
    // (1 − 2·u·uᵀ)·D·(1 − 2·v·vᵀ), element by element.
    self.init(rows: rows, columns: columns) { row, column in
      let (inRow, inColumn) = (row < values.count ? values[row] : 0, column < values.count ? values[column] : 0)
      return (row == column ? inRow : 0) - 2 * u[row] * u[column % rows] * (column < rows ? inColumn : 0)
        - 2 * (row < columns ? inRow * v[row] : 0) * v[column] + 4 * middle * u[row] * v[column]
    }
  }

  /// The steps of the vectors sin(step), sin(2·step), …, by which U and V of a matrix of chosen singular values are reflections.
  package static let (leftStep, rightStep) = (1.7, 2.3)

  /// min(rows, columns).
  package var order: Int { min(rows, columns) }

  /// ‖W‖²_F.
  package var squaredNorm: Double { elements.reduce(0) { $0 + $1 * $1 } }

  /// WᵀW of a tall matrix, W·Wᵀ of a wide one, by its definition: column-major, both triangles.
  package func gram() -> [Double] {
    let isTall = rows >= columns
    let lines = (0..<order).map { i in
      (0..<max(rows, columns)).map { elements[isTall ? $0 * columns + i : i * columns + $0] }
    }
    var result = [Double](repeating: 0, count: order * order)
    for i in 0..<order {
      for j in 0...i {
        var sum = 0.0
        for k in lines[i].indices { sum += lines[i][k] * lines[j][k] }
        result[i + j * order] = sum
        result[j + i * order] = sum
      }
    }
    return result
  }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    fill(rows, columns) { panel[$0] = Float($1) }
  }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
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
