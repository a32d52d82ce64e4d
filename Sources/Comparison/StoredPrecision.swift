import Weights
import ShardIO

/// How well a stored type resolves the singular values of the matrix that was rounded to it.
enum StoredPrecision {
  /// How many eigenvalues λ = σ² are above those of what rounding added.
  ///
  /// Rounding each of m × n weights by u·|w| at most adds a matrix of norm below about u·‖W‖_F·(√m + √n)/√(m·n): singular values below are
  /// made of it, and so are their vectors.
  ///
  /// - Parameter eigenvalues: ascending.
  static func rank(_ eigenvalues: [Double], of matrix: Catalog.Matrix) -> Int {
    let (rows, columns) = (Double(matrix.rows), Double(matrix.columns))
    let total = eigenvalues.reduce(0, +)
    let sides = rows.squareRoot() + columns.squareRoot()
    let bound = unit(matrix.dtype) * unit(matrix.dtype) * total * (sides * sides / (rows * columns))
    return eigenvalues.count { $0 > bound }
  }

  /// u: half the distance of 1 from the next number.
  private static func unit(_ type: DType) -> Double {
    switch type {
    case .f64: 0x1p-53
    case .f32: 0x1p-24
    case .f16: 0x1p-11
    case .bf16: 0x1p-8
    case .f8E4M3: 0x1p-4
    default: 0x1p-3
    }
  }
}
