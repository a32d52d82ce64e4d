import DistSVD
import Execution
import Weights

/// One position of a convolution's kernel, W[:, :, i, j], as a matrix outputs × inputs. It is read from the stored matrix outputs × (inputs
/// · positions).
package struct KernelPosition: PanelSource {
  private let whole: MatrixPanels
  private let position: Int
  private let positions: Int
  private let scratch = Scratch()

  private final class Scratch {
    var floats: [Float] = []
    var doubles: [Double] = []
  }

  /// - Parameter positions: the number of kernel positions, height × width. `whole` has so many columns for each input.
  package init(_ whole: MatrixPanels, position: Int, of positions: Int) {
    self.whole = whole
    self.position = position
    self.positions = positions
  }

  package var rows: Int { whole.rows }
  package var columns: Int { whole.columns / positions }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try read(rows: rows, columns: columns, into: panel, by: \.floats) {
      try whole.read(rows: $0, columns: $1, into: $2)
    }
  }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try read(rows: rows, columns: columns, into: panel, by: \.doubles) {
      try whole.read(rows: $0, columns: $1, into: $2)
    }
  }

  /// Reads the stored rows one at a time, and takes one weight in `positions` of each.
  private func read<Scalar: RealScalar>(
    rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Scalar>,
    by buffer: ReferenceWritableKeyPath<Scratch, [Scalar]>,
    _ readWhole: (Range<Int>, Range<Int>, UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) throws {
    let stored = columns.lowerBound * positions..<columns.upperBound * positions
    if scratch[keyPath: buffer].count < stored.count {
      scratch[keyPath: buffer] = [Scalar](repeating: 0, count: stored.count)
    }
    try scratch[keyPath: buffer].withUnsafeMutableBufferPointer { line in
      let line = UnsafeMutableBufferPointer(rebasing: line[..<stored.count])
      var target = 0
      for row in rows {
        try readWhole(row..<row + 1, stored, line)
        for column in 0..<columns.count {
          panel[target] = line[column * positions + position]
          target += 1
        }
      }
    }
  }
}

/// The kernel of a convolution.
package struct ConvolutionKernel: Sendable, Equatable {
  /// The number of positions, such as height × width, which have spectra of their own.
  package let positions: Int
  /// The number of dimensions that the convolution runs over, such as 2 for images.
  package let dimensions: Int

  /// The kind of layer that a matrix belongs to, as tables name it: `conv2d`, or `dense` without a kernel.
  package static func layerType(_ kernel: ConvolutionKernel?) -> String {
    kernel.map { "conv\($0.dimensions)d" } ?? "dense"
  }
}

extension Catalog {
  /// The kernel that a matrix is; nil for other matrices.
  package func kernel(of matrix: Matrix) -> ConvolutionKernel? {
    let shape = tensors[matrix.tensor].shape
    guard matrix.expert == nil, shape.count >= 3, shape[0] == matrix.rows, shape[1] > 0,
      matrix.columns.isMultiple(of: shape[1])
    else { return nil }
    return ConvolutionKernel(positions: matrix.columns / shape[1], dimensions: shape.count - 2)
  }

  /// The number of positions of the kernel that a matrix is; nil for other matrices.
  package func kernelPositions(of matrix: Matrix) -> Int? { kernel(of: matrix)?.positions }

  /// The number of singular values of a matrix, over all positions if it is a kernel.
  func spectrumCount(of matrix: Matrix) -> Int {
    let positions = kernelPositions(of: matrix) ?? 1
    return min(matrix.rows, matrix.columns / positions) * positions
  }
}
