/// A matrix that is read a panel at a time and never held whole.
///
/// A panel is any block of consecutive rows and columns. Solvers ask for whole rows of a tall matrix and for whole
/// columns of a wide one (``PanelShape``). A source may be read more than once, and must give the same elements each
/// time.
package protocol PanelSource {
  /// The number of rows, m.
  var rows: Int { get }
  /// The number of columns, n.
  var columns: Int { get }
  /// Writes `rows × columns` in single precision to `panel`, row-major and dense.
  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws
  /// Writes `rows × columns` in double precision to `panel`, row-major and dense.
  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws
}
