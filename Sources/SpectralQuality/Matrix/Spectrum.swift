/// The spectrum of a matrix W: the eigenvalues λ = σ² of WᵀW, and the shape of W.
///
/// WeightWatcher's conventions hold. The eigenvalues are those of W as it is, without a factor 1/N and without
/// centring. A convolution has one matrix for each position of its kernel. Their eigenvalues are pooled and halved, as
/// if W were scaled by √½.
package struct Spectrum: Sendable, Equatable {
  /// The eigenvalues λ, ascending, finite, ≥ 0. There are `smaller × kernelPositions`.
  package let eigenvalues: [Double]
  /// The longer side N of the matrix of one position. WeightWatcher exchanges N and M once for each position of a
  /// kernel with more columns than rows, so that even numbers of positions leave N < M.
  package let larger: Int
  /// The shorter side M.
  package let smaller: Int
  /// The positions of a kernel, kh·kw; 1 for a matrix.
  package let kernelPositions: Int
  /// The largest singular value, in the units of W; of √½·W for a convolution.
  package let largestSingularValue: Double
  /// The smallest singular value. For a convolution it is the largest of the smallest values of all positions, as in
  /// WeightWatcher.
  package let smallestSingularValue: Double
  /// The number of singular values that are 0 but for rounding: at most max σ · N · 2⁻⁵², where each position has its
  /// own max σ.
  package let rankLoss: Int

  /// Makes the spectrum of a matrix.
  ///
  /// - Parameter singularValues: the min(rows, columns) singular values, in any order.
  /// - Throws: ``SpectrumError`` if the number of values does not fit the shape, or if one is negative, NaN, or too
  ///   large to be squared.
  /// - Complexity: O(n log n).
  package init(singularValues: [Double], rows: Int, columns: Int) throws(SpectrumError) {
    try self.init(kernels: [singularValues], rows: rows, columns: columns, scale: 1)
  }

  /// The factor that the eigenvalues of a convolution are multiplied by.
  package static let poolingScale = 0.5

  /// Makes the pooled spectrum of a convolution.
  ///
  /// - Parameter kernels: the min(rows, columns) singular values of each position, in any order.
  /// - Throws: ``SpectrumError``, as for a matrix, or if there is no position.
  /// - Complexity: O(n log n) for n values in all.
  package init(pooling kernels: [[Double]], rows: Int, columns: Int) throws(SpectrumError) {
    try self.init(kernels: kernels, rows: rows, columns: columns, scale: Self.poolingScale)
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

  /// The aspect ratio N / M, at least 1.
  package var aspectRatio: Double { Double(larger) / Double(smaller) }
}

/// The reason why values are no spectrum.
package enum SpectrumError: Error, Equatable, CustomStringConvertible {
  /// The shape has no elements, or the convolution no positions.
  case noValues(rows: Int, columns: Int)
  /// A matrix of this shape has another number of singular values.
  case countMismatch(values: Int, rows: Int, columns: Int)
  /// A value is negative, NaN or infinite, or its square is.
  case notASingularValue(Double)

  /// The error in words, on one line.
  package var description: String {
    switch self {
    case .noValues(let rows, let columns): "a matrix of \(rows) × \(columns) has no singular values"
    case .countMismatch(let values, let rows, let columns):
      "\(values) singular values for a matrix of \(rows) × \(columns)"
    case .notASingularValue(let value): "\(value) is no singular value whose square is finite"
    }
  }
}
