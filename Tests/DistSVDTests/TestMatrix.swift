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
    func reflection(_ size: Int, _ seed: Double) -> (Int, Int) -> Double {
      let raw = (0..<size).map { sin(Double($0 + 1) * seed) }
      let square = raw.reduce(0) { $0 + $1 * $1 }
      return { ($0 == $1 ? 1 : 0) - 2 * raw[$0] * raw[$1] / square }
    }
    let left = reflection(rows, 1.7)
    let right = reflection(columns, 2.3)
    self.init(rows: rows, columns: columns) { row, column in
      values.indices.reduce(0) { $0 + values[$1] * left(row, $1) * right(column, $1) }
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
