extension GramSpectrum {
  /// The doubles that one of `members` ranks holds at most while it finds eigenvalues and vectors.
  ///
  /// - Parameters:
  ///   - vectors: the doubles of the vectors of T, as LAPACK leaves them, sorted, as an array and as a buffer.
  ///   - bandElements: the elements of W that a member of a team holds at a time. It plays no part on one rank.
  static func doubles(_ shape: PanelShape, vectors: Double, members: Int, bandElements: Int) -> Double {
    let core = Double(shape.core)
    guard members > 1 else {
      return core * core + max(shape.longestPanel(of: PanelShape.gramElements), 112 * core + 4096 + vectors)
    }
    let grid = ProcessGrid.shape(of: members)
    let layout = BlockCyclic(order: shape.core, gridRows: grid.rows, gridColumns: grid.columns)
    let (height, width) = (layout.rows.count(on: 0), layout.columns.count(on: 0))
    let panels = 4 * Double(GramPanels.width(order: shape.core, gridColumns: grid.columns)) * core
    let weights = core * Double(shape.stream)
    let band = min(weights / Double(members) + 16 * core, Double(bandElements) + 16 * core)
    return Double(height) * Double(width)
      + max(panels + band, Double(TeamReduction.workspace(height: height, width: width)) + 2 * vectors)
  }
}

extension PanelShape {
  /// The elements of the longest panel of ``panels(of:)``, in floating point.
  func longestPanel(of elements: Int) -> Double { Double(min(stream, step(of: elements))) * Double(core) }
}
