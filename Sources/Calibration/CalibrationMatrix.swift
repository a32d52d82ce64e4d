import DistSVD

/// A matrix whose rows are pieces of one short sequence of random numbers, each from another place.
final class CalibrationMatrix: PanelSource {
  let rows: Int
  let columns: Int
  private let values: [Float]

  init(rows: Int, columns: Int) throws {
    self.rows = rows
    self.columns = columns
    // Any numbers without structure will do, such as those of a linear congruential generator.
    var state: UInt32 = 1
    values = (0..<1 << 18).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Int32(bitPattern: state)) * 0x1p-31
    }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    fill(rows, columns, panel) { $0 }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    fill(rows, columns, panel) { Double($0) }
  }

  /// Fills a panel. The position of an element in the matrix decides its value, so it is the same in whatever panel it is read.
  private func fill<Scalar>(
    _ rows: Range<Int>, _ columns: Range<Int>, _ panel: UnsafeMutableBufferPointer<Scalar>, _ convert: (Float) -> Scalar
  ) {
    values.withUnsafeBufferPointer { values in
      var index = 0
      for row in rows {
        let start = row &* 40_503 &+ columns.lowerBound
        for column in 0..<columns.count {
          panel[index] = convert(values[(start &+ column) & (values.count - 1)])
          index += 1
        }
      }
    }
  }
}
