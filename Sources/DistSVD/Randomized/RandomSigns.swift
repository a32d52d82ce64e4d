import CKernels

/// Random signs in `block`, column-major; the sign of row i and column k has the index first + i·columns + k.
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
