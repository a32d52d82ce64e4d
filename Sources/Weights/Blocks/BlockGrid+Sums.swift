extension BlockGrid {
  /// The sum of the values of each block, by number of block, in double precision.
  ///
  /// The values of a block are added in an order that depends on its shape alone. So a part of a matrix that is cut between blocks has the
  /// same sums as the matrix.
  ///
  /// - Parameter values: the matrix, `rows × columns`, row-major and dense.
  ///
  /// Accuracy: a sum of B² values of one sign is within B²·2⁻⁵³ of the exact one, relatively.
  package func sums(of values: UnsafeBufferPointer<Float>) -> [Double] {
    precondition(values.count == rows * columns, "a value for each weight")
    var sums = [Double](repeating: 0, count: count)
    for row in 0..<rows {
      let first = row / side * blockColumns
      for block in 0..<blockColumns {
        let range = columns(ofBlockColumn: block)
        let part = row * columns + range.lowerBound..<row * columns + range.upperBound
        sums[first + block] += Self.sum(UnsafeBufferPointer(rebasing: values[part]))
      }
    }
    return sums
  }

  /// Gives every weight the value of its block.
  ///
  /// - Parameters:
  ///   - blockValues: a value for each block, by its number.
  ///   - values: room for the matrix, `rows × columns`, row-major and dense.
  package func spread(_ blockValues: [Float], into values: UnsafeMutableBufferPointer<Float>) {
    precondition(values.count == rows * columns && blockValues.count == count, "a value for each block")
    for row in 0..<rows {
      let first = row / side * blockColumns
      for block in 0..<blockColumns {
        let range = columns(ofBlockColumn: block)
        let part = row * columns + range.lowerBound..<row * columns + range.upperBound
        values[part].update(repeating: blockValues[first + block])
      }
    }
  }

  /// The sum of some values: of eight sums, each of every eighth value.
  private static func sum(_ values: UnsafeBufferPointer<Float>) -> Double {
    var lanes = SIMD8<Double>()
    let whole = values.count / 8 * 8
    let bytes = UnsafeRawBufferPointer(values)
    for start in stride(from: 0, to: whole, by: 8) {
      lanes += SIMD8<Double>(bytes.loadUnaligned(fromByteOffset: start * 4, as: SIMD8<Float>.self))
    }
    for index in whole..<values.count { lanes[index - whole] += Double(values[index]) }
    let four = lanes.lowHalf + lanes.highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }
}
