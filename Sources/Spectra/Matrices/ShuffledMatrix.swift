import DistSVD
import RunCore

/// A matrix with its entries in random order, in memory.
///
/// Entries in random order have no correlations. What this spectrum lacks beside that of the original is due to correlations.
struct ShuffledMatrix: PanelSource {
  let rows: Int
  let columns: Int
  private let weights: AlignedBuffer<Float>

  /// Shuffles the entries of `source` (Fisher–Yates).
  ///
  /// The random numbers depend on seed, name and replica alone, so the order is the same on every machine.
  ///
  /// - Throws: what `source` throws; `SolverError` if there is no memory for m·n Floats.
  /// - Complexity: O(m·n), one read of the matrix.
  init(_ source: some PanelSource, name: String, replica: Int, seed: UInt64) throws {
    (rows, columns) = (source.rows, source.columns)
    let count = rows * columns
    weights = try AlignedBuffer<Float>(count: count)
    let elements = weights.elements
    let step = max(1, (1 << 20) / max(columns, 1))
    for row in stride(from: 0, to: rows, by: step) {
      let lines = row..<min(row + step, rows)
      let panel = UnsafeMutableBufferPointer(
        rebasing: elements[lines.lowerBound * columns..<lines.upperBound * columns])
      try source.read(rows: lines, columns: 0..<columns, into: panel)
    }
    let numbers = RandomNumbers(seed: seed, tensor: name, for: .shuffle)
    // The replicas of one matrix take disjoint numbers.
    let first = UInt64(replica) << 40
    var bits = [UInt64](repeating: 0, count: 4096)
    for start in stride(from: 0, to: count, by: bits.count) {
      numbers.fill(&bits, from: first + UInt64(start))
      for index in start..<min(start + bits.count, count) {
        // A position among those that are left. The bias is at most 2⁻²⁴ of a position.
        let other = index + Int(bits[index - start].multipliedFullWidth(by: UInt64(count - index)).high)
        elements.swapAt(index, other)
      }
    }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    forEach(rows, columns) { panel[$0] = $1 }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    forEach(rows, columns) { panel[$0] = Double($1) }
  }

  private func forEach(_ rows: Range<Int>, _ columns: Range<Int>, _ body: (Int, Float) -> Void) {
    withExtendedLifetime(weights) {
      let elements = weights.elements
      var target = 0
      for row in rows {
        for column in columns {
          body(target, elements[row * self.columns + column])
          target += 1
        }
      }
    }
  }
}
