import Weights
import RunCore
import ShardIO
import SpectralQuality

extension Spectrum {
  /// Of the singular values of a matrix.
  ///
  /// - Parameters:
  ///   - singularValues: of each kernel position in turn; of one for a matrix that is no convolution.
  ///   - positions: of a convolution's kernel; nil for other matrices.
  /// - Throws: ``RunFailure`` naming the matrix if they are no spectrum.
  package init(_ singularValues: [[Double]], of matrix: Catalog.Matrix, positions: Int?) throws(RunFailure) {
    do throws(SpectrumError) {
      if let positions {
        try self.init(pooling: singularValues, rows: matrix.rows, columns: matrix.columns / positions)
      } else {
        try self.init(singularValues: singularValues.first ?? [], rows: matrix.rows, columns: matrix.columns)
      }
    } catch {
      throw RunFailure(.data, "tensor \(quoted(matrix.name)): \(error)")
    }
  }
}
