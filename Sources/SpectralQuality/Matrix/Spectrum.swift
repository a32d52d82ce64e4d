/// Eigenvalues λ = σ² of a matrix, ascending, and the matrix's shape.
///
/// As WeightWatcher takes them: of W as it is, without 1/N and without centring. A convolution has one matrix per position
/// of its kernel; their eigenvalues are pooled, and halved (W scaled by √½).
public struct Spectrum: Sendable, Equatable {
  /// λ, ascending, finite, ≥ 0; `smaller × kernelPositions` values.
  public let eigenvalues: [Double]
  /// N, the longer side of one position's matrix. The original exchanges N and M once for each position of a kernel with more columns than
  /// rows, so that even numbers of positions leave N < M.
  public let larger: Int
  /// M, the shorter side.
  public let smaller: Int
  /// kh·kw; 1 for a matrix.
  public let kernelPositions: Int
  /// The largest singular value, in the units of W (of √½·W for a convolution).
  public let largestSingularValue: Double
  /// The smallest singular value; of a convolution the largest of its positions' smallest, as WeightWatcher has it.
  public let smallestSingularValue: Double
  /// How many singular values are 0 but for rounding: not above max σ · N · 2⁻⁵², each position by its own max σ.
  public let rankLoss: Int

  /// The spectrum of a matrix of `rows × columns` from its min(rows, columns) singular values, in any order.
  ///
  /// - Throws: ``SpectrumError`` if the number of values does not fit the shape, or one of them is negative, NaN, or too
  ///   large to be squared.
  /// - Complexity: O(n log n).
  public init(singularValues: [Double], rows: Int, columns: Int) throws(SpectrumError) {
    try self.init(kernels: [singularValues], rows: rows, columns: columns, scale: 1)
  }

  /// The pooled spectrum of a convolution: `kernels[p]` holds the min(rows, columns) singular values of position p.
  ///
  /// - Throws: ``SpectrumError``, as for a matrix, or if there is no position.
  /// - Complexity: O(n log n) for n values in all.
  public init(pooling kernels: [[Double]], rows: Int, columns: Int) throws(SpectrumError) {
    try self.init(kernels: kernels, rows: rows, columns: columns, scale: 0.5)
  }

  private init(kernels: [[Double]], rows: Int, columns: Int, scale: Double) throws(SpectrumError) {
    guard rows > 0, columns > 0, !kernels.isEmpty else { throw .noValues(rows: rows, columns: columns) }
    larger = max(rows, columns)
    smaller = min(rows, columns)
    kernelPositions = kernels.count
    var eigenvalues: [Double] = []
    var largest = 0.0
    var smallest = 0.0
    var loss = 0
    for values in kernels {
      guard values.count == smaller else {
        throw .countMismatch(values: values.count, rows: rows, columns: columns)
      }
      var top = 0.0
      var bottom = Double.infinity
      for value in values {
        guard value >= 0, (value * value).isFinite else { throw .notASingularValue(value) }
        eigenvalues.append(value * value * scale)
        top = max(top, value)
        bottom = min(bottom, value)
      }
      let tolerance = top * Double(larger) * .ulpOfOne
      loss += values.count { !($0 > tolerance) }
      largest = max(largest, top)
      smallest = max(smallest, bottom)
    }
    self.eigenvalues = eigenvalues.sorted()
    largestSingularValue = largest * scale.squareRoot()
    smallestSingularValue = smallest * scale.squareRoot()
    rankLoss = loss
  }

  /// N / M ≥ 1.
  public var aspectRatio: Double { Double(larger) / Double(smaller) }
}

/// Why values are no spectrum.
public enum SpectrumError: Error, Equatable, CustomStringConvertible {
  /// A shape without elements, or a convolution without positions.
  case noValues(rows: Int, columns: Int)
  /// A matrix of this shape has another number of singular values.
  case countMismatch(values: Int, rows: Int, columns: Int)
  /// Negative, NaN, infinite, or with a square beyond what Double holds.
  case notASingularValue(Double)

  /// What was claimed and what was found.
  public var description: String {
    switch self {
    case .noValues(let rows, let columns): "a matrix of \(rows) × \(columns) has no singular values"
    case .countMismatch(let values, let rows, let columns):
      "\(values) singular values for a matrix of \(rows) × \(columns)"
    case .notASingularValue(let value): "\(value) is no singular value whose square is finite"
    }
  }
}
