import CKernels

/// Fills `block`, column-major, with random signs. The sign of row i and column k has the index first + i·columns + k.
///
/// - Parameters:
///   - seed: the key of all random numbers.
///   - stream: tells apart the random numbers of different matrices.
///   - first: the index of the first sign.
func randomSigns(
  rows: Int, columns: Int, seed: UInt64, stream: UInt64, first: UInt64, into block: UnsafeMutableBufferPointer<Float>
) {
  withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { line in
    for row in 0..<rows {
      frog_random_signs(seed, stream, first + UInt64(row * columns), columns, line.baseAddress)
      for column in 0..<columns { block[column * rows + row] = line[column] }
    }
  }
}
