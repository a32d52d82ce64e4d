import ShardIO
import Weights

/// How well a stored type resolves the singular values of a matrix that was rounded to it.
enum StoredPrecision {
  /// The number of eigenvalues λ = σ² above those that rounding added.
  ///
  /// Rounding changes each of m × n weights by at most u·|w|. It so adds a matrix of norm below about u·‖W‖_F·(√m + √n)/√(m·n). Singular
  /// values below that norm are made of it, and so are their vectors.
  ///
  /// - Parameter eigenvalues: all eigenvalues, ascending.
  static func rank(_ eigenvalues: [Double], of matrix: Catalog.Matrix) -> Int {
    let (rows, columns) = (Double(matrix.rows), Double(matrix.columns))
    let total = eigenvalues.reduce(0, +)
    let sides = rows.squareRoot() + columns.squareRoot()
    let bound = unit(matrix.dtype) * unit(matrix.dtype) * total * (sides * sides / (rows * columns))
    return eigenvalues.count { $0 > bound }
  }

  /// The unit roundoff u of a type: half the distance from 1 to the next number.
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
