/// A matrix that is read a panel at a time, and never held whole.
public protocol PanelSource {
  /// The matrix's row count, m.
  var rows: Int { get }
  /// The matrix's column count, n.
  var columns: Int { get }
  /// Writes `rows × columns`, row-major and dense, to `panel`.
  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws
  /// Writes `rows × columns`, row-major and dense, to `panel`.
  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws
}
