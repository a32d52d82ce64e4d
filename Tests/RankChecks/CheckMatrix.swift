import DistSVD

/// A matrix whose Gram matrix has no rounding: its elements are eighths of small integers, so that sums of their products are exact
/// in single precision, in any order.
struct CheckMatrix: PanelSource, CustomStringConvertible {
  enum Kind: CaseIterable {
    case dense, lowRank, zero
  }

  let rows: Int
  let columns: Int
  let kind: Kind
  private let elements: [Double]

  init(rows: Int, columns: Int, kind: Kind) {
    self.rows = rows
    self.columns = columns
    self.kind = kind
    elements = (0..<rows * columns).map { index -> Double in
      let (row, column) = (index / columns, index % columns)
      let eighths: Int
      switch kind {
      case .dense: eighths = Int(Self.mixed(UInt64(index + 1000 * rows)) % 17) - 8
      case .lowRank: eighths = (row % 5 - 2) * (column % 7 - 3) + (row % 2) * (column % 3)
      case .zero: eighths = 0
      }
      return Double(eighths) / 8
    }
  }

  /// Every shape whose smaller side is `order`: square, tall, wide.
  static func all(order: Int) -> [CheckMatrix] {
    Kind.allCases.flatMap { kind in
      [(order, order), (2 * order + 37, order), (order, 2 * order + 21)].map {
        CheckMatrix(rows: $0.0, columns: $0.1, kind: kind)
      }
    }
  }

  var description: String { "\(kind) \(rows) × \(columns)" }
  var order: Int { min(rows, columns) }

  /// WᵀW or W·Wᵀ by its definition, column-major, both triangles.
  func gram() -> [Double] {
    let (order, isTall) = (order, rows >= columns)
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

  private static func mixed(_ seed: UInt64) -> UInt64 {
    var z = seed &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    return (z ^ (z >> 27)) >> 7
  }
}
