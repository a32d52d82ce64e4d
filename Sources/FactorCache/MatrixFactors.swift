import CKernels
import DistSVD
import Execution
import RunCore

/// The stored factors of one matrix, W = U·Σ·Vᵀ or its best approximation of rank r. Vectors stay in their file until they are read.
package struct MatrixFactors {
  /// The r singular values, descending, in the units of the weights: finite, and none is negative.
  package let singularValues: [Float]
  /// U, m × r.
  package let left: FactorPanels
  /// Vᵀ, r × n.
  package let right: FactorPanels

  /// The elements of U that are turned into columns at a time.
  package static let turnedElements = 1 << 20

  /// The number of triplets, r.
  package var count: Int { singularValues.count }
  /// The number of rows of W, m.
  package var rows: Int { left.rows }
  /// The number of columns of W, n.
  package var columns: Int { right.columns }

  /// Reads whole singular vectors of one side.
  ///
  /// - Parameter triplets: a part of `0..<count`, in descending order of singular value.
  /// - Returns: the vectors as columns, column-major: `m × triplets.count` left ones, or `n × triplets.count` right ones.
  /// - Throws: ``RunFailure`` if one of the numbers is not finite.
  /// - Complexity: one read of the columns of U, or of the rows of Vᵀ. Left vectors pass a buffer of ``turnedElements``.
  package func vectors<Scalar: RealScalar>(
    _ side: LeadingVectors.Side, _ triplets: Range<Int>, as type: Scalar.Type = Scalar.self
  ) throws -> AlignedBuffer<Scalar> {
    let (count, rows) = (triplets.count, left.rows)
    guard side == .left else {
      let vectors = try AlignedBuffer<Scalar>(count: count * columns)
      try Scalar.read(right, rows: triplets, columns: 0..<columns, into: vectors.elements)
      return vectors
    }
    let vectors = try AlignedBuffer<Scalar>(count: rows * count)
    let band = min(rows, max(1, Self.turnedElements / max(count, 1)))
    let panel = try AlignedBuffer<Scalar>(count: band * count)
    for first in stride(from: 0, to: rows, by: band) {
      let lines = first..<min(rows, first + band)
      try Scalar.read(left, rows: lines, columns: triplets, into: panel.prefix(lines.count * count))
      for column in 0..<count {
        for line in lines { vectors.elements[column * rows + line] = panel.elements[(line - first) * count + column] }
      }
    }
    return vectors
  }
}

/// U or Vᵀ of a matrix, which is read in panels. Every element that is read is finite, or an error is thrown.
package struct FactorPanels: PanelSource {
  private let panels: MatrixPanels
  /// The file and the tensor, with which a message begins.
  private let place: String

  init(_ panels: MatrixPanels, place: String) {
    self.panels = panels
    self.place = place
  }

  package var rows: Int { panels.rows }
  package var columns: Int { panels.columns }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try panels.read(rows: rows, columns: columns, into: panel)
    guard frog_any_non_finite(panel.baseAddress, panel.count) != 0 else { return }
    try refuse(panel.firstIndex { !$0.isFinite }, rows: rows, columns: columns)
  }

  package func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try panels.read(rows: rows, columns: columns, into: panel)
    try refuse(panel.firstIndex { !$0.isFinite }, rows: rows, columns: columns)
  }

  private func refuse(_ index: Int?, rows: Range<Int>, columns: Range<Int>) throws {
    guard let index else { return }
    let (row, column) = index.quotientAndRemainder(dividingBy: columns.count)
    throw RunFailure(
      .data,
      "\(place): NaN or infinity at row \(rows.lowerBound + row), column \(columns.lowerBound + column): \(FactorFolder.remedy)"
    )
  }
}
