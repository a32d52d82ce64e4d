import CKernels

extension IndexRuns {
  /// Copies the elements at `positions` to consecutive places.
  ///
  /// - Parameters:
  ///   - positions: a part of 0..<``total``.
  ///   - span: the stored elements from that of the first position to that of the last.
  ///   - elementBytes: the bytes of one element.
  ///   - destination: room for the bytes of all positions.
  /// - Complexity: O(bytes that are copied), in one loop of CKernels for all whole runs.
  func gather(
    _ positions: Range<Int>, from span: UnsafeRawBufferPointer, elementBytes: Int,
    into destination: UnsafeMutableRawBufferPointer
  ) {
    guard !positions.isEmpty else { return }
    let origin = stored(positions.lowerBound)
    let last = stored(positions.upperBound - 1)
    precondition(span.count == (last + 1 - origin) * elementBytes, "span of the wrong size")
    precondition(destination.count == positions.count * elementBytes, "destination of the wrong size")
    guard let from = span.baseAddress, let to = destination.baseAddress else { return }

    func copy(_ part: Range<Int>, length: Int, runs: Int) {
      frog_gather(
        from + (stored(part.lowerBound) - origin) * elementBytes, length * elementBytes, stride * elementBytes,
        to + (part.lowerBound - positions.lowerBound) * elementBytes, runs)
    }
    if isConsecutive(positions) { return copy(positions, length: positions.count, runs: 1) }
    // The end of a run, whole runs, and the beginning of a run. Each of the three may be missing.
    let firstWhole = (positions.lowerBound + length - 1) / length
    let pastWhole = positions.upperBound / length
    if positions.lowerBound < firstWhole * length {
      let part = positions.lowerBound..<firstWhole * length
      copy(part, length: part.count, runs: 1)
    }
    if firstWhole < pastWhole {
      copy(firstWhole * length..<pastWhole * length, length: length, runs: pastWhole - firstWhole)
    }
    if pastWhole * length < positions.upperBound {
      let part = pastWhole * length..<positions.upperBound
      copy(part, length: part.count, runs: 1)
    }
  }
}
