import RunCore
import ShardIO
import SpectralQuality
import Weights

extension Spectrum {
  /// The spectrum of a matrix, from its singular values.
  ///
  /// - Parameters:
  ///   - singularValues: a list for each kernel position in turn; one list for a matrix that is no convolution.
  ///   - positions: the number of positions of a convolution's kernel; nil for other matrices.
  /// - Throws: ``RunFailure`` naming the matrix if the values are no spectrum.
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
