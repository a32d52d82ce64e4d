import DistSVD
import MPI
import ShardIO
import Weights

/// A stored matrix W that solvers read in panels, scaled to W·2^−e.
package final class MatrixPanels: PanelSource {
  /// The number of weights that are scaled at a time.
  private static let pieceLength = 1 << 16

  private let view: TensorView
  /// The exponent e. It lies within ±512, since norms whose squares are no normal numbers have been refused.
  private let exponent: Int
  private var scratch = ScratchBytes()
  private var piece: [Double] = []

  package init(_ view: TensorView, exponent: Int = 0) {
    self.view = view
    self.exponent = exponent
  }

  /// The same matrix, scaled by another e.
  package func scaled(by exponent: Int) -> MatrixPanels {
    exponent == self.exponent ? self : MatrixPanels(view, exponent: exponent)
  }

  package var rows: Int { view.rows }
  package var columns: Int { view.columns }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    Heartbeat.beat()
    guard exponent != 0 else {
      return try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
    }
    try forEachPiece(rows: rows, columns: columns) { start, weights in
      for index in weights.indices { panel[start + index] = Float(weights[index]) }
    }
  }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    Heartbeat.beat()
    guard exponent != 0 else {
      return try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
    }
    try forEachPiece(rows: rows, columns: columns) { start, weights in
      for index in weights.indices { panel[start + index] = weights[index] }
    }
  }

  /// Calls `body` with one piece of scaled weights after the other, and with the position of the piece in a dense panel of `rows ×
  /// columns`.
  ///
  /// Weights are scaled in double precision. A weight that is no longer a normal number there is 2^500 times smaller than the norm. So
  /// narrowing to single precision is the only rounding, as it is for an ordinary matrix.
  private func forEachPiece(
    rows: Range<Int>, columns: Range<Int>, _ body: (_ start: Int, _ weights: UnsafeMutableBufferPointer<Double>) -> Void
  ) throws {
    let factor = 1.0.times(powerOfTwo: -exponent)
    let height = max(1, Self.pieceLength / max(columns.count, 1))
    if piece.isEmpty { piece = [Double](repeating: 0, count: Self.pieceLength) }
    for row in stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
      let lines = row..<min(row + height, rows.upperBound)
      // A piece is whole rows, or a part of one row: consecutive in the panel either way.
      for column in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.pieceLength) {
        let part = column..<min(column + Self.pieceLength, columns.upperBound)
        try piece.withUnsafeMutableBufferPointer { buffer in
          let weights = UnsafeMutableBufferPointer(rebasing: buffer[..<(lines.count * part.count)])
          try view.decode(rows: lines, columns: part, into: weights, scratch: &scratch)
          for index in weights.indices { weights[index] *= factor }
          body((row - rows.lowerBound) * columns.count + column - columns.lowerBound, weights)
        }
      }
    }
  }
}

extension OpenShards {
  /// Opens a matrix, to be read in panels.
  package func panels(of matrix: Catalog.Matrix) throws -> MatrixPanels { MatrixPanels(try view(of: matrix)) }
}
