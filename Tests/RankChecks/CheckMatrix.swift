import DistSVD
import TestSupport

/// A matrix whose Gram matrix has no rounding: its elements are eighths of small integers, so that sums of their products are exact
/// in single precision, in any order.
struct CheckMatrix: PanelSource, CustomStringConvertible {
  enum Kind: CaseIterable {
    case dense, lowRank, zero
  }

  let kind: Kind
  private let matrix: TestMatrix

  init(rows: Int, columns: Int, kind: Kind) {
    self.kind = kind
    var generator = SeededGenerator(seed: UInt64(rows))
    matrix = TestMatrix(rows: rows, columns: columns) { row, column in
      let eighths =
        switch kind {
        case .dense: Int(generator.next() % 17) - 8
        case .lowRank: (row % 5 - 2) * (column % 7 - 3) + (row % 2) * (column % 3)
        case .zero: 0
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

  var rows: Int { matrix.rows }
  var columns: Int { matrix.columns }
  var order: Int { matrix.order }
  var description: String { "\(kind) \(rows) × \(columns)" }

  func gram() -> [Double] { matrix.gram() }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try matrix.read(rows: rows, columns: columns, into: panel)
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try matrix.read(rows: rows, columns: columns, into: panel)
  }
}
