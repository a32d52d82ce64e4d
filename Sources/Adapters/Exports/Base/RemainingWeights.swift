import DistSVD
import Execution
import RunCore
import ShardIO

/// The weights that are left when a part made of singular triplets is taken out, in the type of the checkpoint.
///
/// W − factor · L·diag(middle)·Rᵀ is computed in double precision from L, middle and R as they are stored, and rounded once. So it
/// is within half a unit in the last place of the weights that are left.
struct RemainingWeights {
  private let left: AlignedBuffer<Double>
  private let right: AlignedBuffer<Double>
  private let count: Int
  private let matrix: MatrixPanels
  private let dtype: DType

  /// - Parameter matrix: the weights as they are stored, not scaled.
  init(_ part: TakenPart, _ triplets: SingularTriplets, of matrix: MatrixPanels, dtype: DType) throws {
    count = triplets.count
    self.matrix = matrix
    self.dtype = dtype
    left = try AlignedBuffer(count: matrix.rows * count)
    right = try AlignedBuffer(count: matrix.columns * count)
    for k in 0..<count {
      let (onLeft, onRight) = (part.left(triplets.values[k]), part.right(triplets.values[k]))
      let factor = part.factor * Double(Float(part.middle(triplets.values[k])))
      for row in k * matrix.rows..<(k + 1) * matrix.rows {
        left.elements[row] = Double(Float(onLeft * Double(triplets.left.elements[row])))
      }
      for row in k * matrix.columns..<(k + 1) * matrix.columns {
        right.elements[row] = factor * Double(Float(onRight * Double(triplets.right.elements[row])))
      }
    }
  }

  /// Writes the weights, row by row.
  ///
  /// - Returns: the Frobenius norm of what rounding has changed.
  /// - Complexity: 2·m·n·r operations.
  func write(to writer: PlaceWriter, tensor: String) throws -> Double {
    let (rows, columns) = (matrix.rows, matrix.columns)
    let height = max(1, PanelShape.scoreElements / max(columns, 1))
    let panel = try AlignedBuffer<Double>(count: min(height, rows) * columns)
    var squares = 0.0
    for first in stride(from: 0, to: rows, by: height) {
      let lines = first..<min(rows, first + height)
      let elements = panel.prefix(lines.count * columns)
      try matrix.read(rows: lines, columns: 0..<columns, into: elements)
      DenseProducts.subtract(left, rows: rows, lines: lines, right, columns: columns, count: count, from: panel)
      squares += try write(elements, to: writer, tensor: tensor)
    }
    return squares.squareRoot()
  }

  /// Writes numbers in the type of the checkpoint.
  ///
  /// - Returns: the sum of the squares of their errors.
  private func write(
    _ elements: UnsafeMutableBufferPointer<Double>, to writer: PlaceWriter, tensor: String
  ) throws -> Double {
    var squares = 0.0
    func rounded<Stored>(_ round: (Double) -> Stored, _ value: (Stored) -> Double) throws -> [Stored] {
      try elements.map { element in
        let stored = round(element)
        let back = value(stored)
        guard back.isFinite else {
          throw RunFailure(
            .data,
            "tensor \(quoted(tensor)): what is left of a weight is more than \(dtype.rawValue) holds; use --keep-base")
        }
        squares += (back - element) * (back - element)
        return stored
      }
    }
    switch dtype {
    case .f64: try writer.write(rounded({ $0 }, { $0 }))
    case .f32: try writer.write(rounded({ Float($0) }, { Double($0) }))
    case .bf16:
      try writer.write(
        rounded({ BFloat16.bits(nearest: $0) }, { BFloat16.value(of: $0) }))
    case .f16:
      try writer.write(rounded({ Float16($0) }, { Double($0) }))
    default: throw RunFailure(.internal, "a base in \(dtype.rawValue)")
    }
    return squares
  }
}
