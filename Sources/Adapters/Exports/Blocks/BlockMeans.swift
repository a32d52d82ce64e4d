import CKernels
import DistSVD
import RunCore
import Weights

/// What ranks the blocks of one matrix.
package struct BlockMeans: Sendable {
  package let grid: BlockGrid
  /// The number that ranks each block, by its number; 0 or more.
  package let values: [Double]

  /// - Precondition: `values` has a number for each block of `grid`.
  package init(_ grid: BlockGrid, _ values: [Double]) {
    precondition(values.count == grid.count, "a value for each block")
    self.grid = grid
    self.values = values
  }

  /// The elements of a part of a matrix that is read at a time, unless one block has more.
  private static let panelElements = 1 << 21

  /// Reads a matrix once, and ranks its blocks by a rule.
  ///
  /// A row of blocks is read at a time, or as many blocks of it as make a panel. No copy of the matrix is held.
  ///
  /// - Parameters:
  ///   - source: a gradient, or scores. For ``BlockRule/meanOfMagnitudes`` it may hold |G| as well as G.
  ///   - place: the name of the matrix, for messages.
  ///   - side: the numbers of rows and of columns of a block.
  /// - Throws: ``RunFailure`` of kind `.data` for a number that is not finite; whatever reading throws.
  /// - Complexity: O(mn), with a panel and 8 bytes for each block in memory.
  ///
  /// Accuracy: sums are formed in double precision of elements in single precision. The mean of magnitudes of B² elements is within
  /// B²·2⁻⁵³ of the exact one, relatively; the magnitude of the mean within that of the mean of magnitudes.
  package init(of source: some PanelSource, _ place: String, side: Int, by rule: BlockRule) throws {
    grid = BlockGrid(rows: source.rows, columns: source.columns, side: side)
    var values = [Double](repeating: 0, count: grid.count)
    // As many columns of blocks as make a panel.
    let across = max(1, Self.panelElements / max(1, min(side, grid.rows)) / side)
    let panel = try AlignedBuffer<Float>(count: min(side, grid.rows) * min(grid.columns, across * side))
    for row in 0..<grid.blockRows {
      let rows = grid.rows(ofBlockRow: row)
      for first in stride(from: 0, to: grid.blockColumns, by: across) {
        let last = min(grid.blockColumns, first + across) - 1
        let columns = grid.columns(ofBlockColumn: first).lowerBound..<grid.columns(ofBlockColumn: last).upperBound
        let part = panel.prefix(rows.count * columns.count)
        try source.read(rows: rows, columns: columns, into: part)
        try Self.refuseNonFinite(part, rows: rows, columns: columns, place)
        if rule == .meanOfMagnitudes { frog_absolute(part.baseAddress, part.count) }
        let cut = BlockGrid(rows: rows.count, columns: columns.count, side: side)
        for (number, sum) in cut.sums(of: UnsafeBufferPointer(part)).enumerated() {
          values[row * grid.blockColumns + first + number] = abs(sum) / Double(cut.size(of: number))
        }
      }
    }
    self.values = values
  }

  private static func refuseNonFinite(
    _ part: UnsafeMutableBufferPointer<Float>, rows: Range<Int>, columns: Range<Int>, _ place: String
  ) throws(RunFailure) {
    guard frog_any_non_finite(part.baseAddress, part.count) != 0, let index = part.firstIndex(where: { !$0.isFinite })
    else { return }
    let (row, column) = index.quotientAndRemainder(dividingBy: columns.count)
    throw RunFailure(
      .data,
      "\(place): \(part[index]) at row \(rows.lowerBound + row), column \(columns.lowerBound + column); what ranks blocks must be "
        + "finite")
  }
}
