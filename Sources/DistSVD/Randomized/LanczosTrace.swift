/// The trace of √A for A = P·WᵀW·P with P = I − V·Vᵀ, by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017).
///
/// Each of some random sign vectors z, the probes, is projected by P and starts a Lanczos iteration. One read of W
/// advances all of them by one step. The eigenvalues of a probe's tridiagonal matrix are the nodes, and the squared
/// first components of its eigenvectors the weights, of a quadrature of zᵀ·f(A)·z, whose expectation is tr f(A).
///
/// That expectation is known for f(λ) = 1, where it is order − rank, and for f(λ) = λ, where it is the trace of A. So
/// √λ is fitted by a + b·λ, and only the rest of the fit is estimated. Its spread over the probes is a small part of
/// that of √λ.
struct LanczosTrace {
  /// The steps of each iteration, and the reads of the matrix.
  static let steps = 16
  /// The vectors that are iterated together.
  static let probes = 16

  /// The nodes and weights of each probe. The weights of a probe add up to ‖P·z‖².
  private let quadratures: [[(node: Double, weight: Double)]]
  /// order − rank.
  private let dimension: Int
  /// See ``TruncatedBasis/rescue``.
  let rescue: SolverError?

  /// Runs the iterations of all probes.
  ///
  /// Collective among the ranks of `sums`.
  ///
  /// - Parameters:
  ///   - basis: V, `order × rank`.
  ///   - signs: fills a column-major block of so many columns with random signs.
  /// - Complexity: ``steps`` reads of the matrix. A step takes 4·m·n·probes operations in single precision and
  ///   4·order·probes·(2·rank + steps) in double.
  init<Source: PanelSource, Sums: ChunkSums>(
    _ products: PanelProducts<Source, Sums>, basis: AlignedBuffer<Double>, rank: Int, sums: Sums,
    signs: (UnsafeMutableBufferPointer<Float>, Int) -> Void
  ) throws {
    let order = products.shape.core
    let width = Self.probes
    dimension = order - rank
    let steps = min(Self.steps, dimension)
    let w = try agreed(sums) { try Workspace(order: order, rank: rank, width: width, steps: steps, basis: basis) }
    // 1. Random signs, projected and scaled to length 1.
    signs(w.block.elements, width)
    for index in w.block.elements.indices { w.vector(0)[index] = Double(w.block.elements[index]) }
    w.project(w.vector(0))
    var recurrences = (0..<width).map { probe in Recurrence(squaredLength: w.normalize(w.vector(0), probe)) }
    // 2. Lanczos steps of all probes, each vector made orthogonal to all before it.
    for step in 0..<steps {
      for index in w.block.elements.indices { w.block.elements[index] = Float(w.vector(step)[index]) }
      try products.normalProduct(w.block, width: width, into: w.image)
      let next = w.vector(step + 1)
      for index in w.image.elements.indices { next[index] = Double(w.image.elements[index]) }
      w.project(next)
      for probe in 0..<width {
        recurrences[probe].diagonal.append(w.product(w.vector(step), next, probe))
        w.orthogonalize(next, against: step + 1, probe)
      }
      w.project(next)
      // Where the probe's Krylov space is exhausted, the length is zero or rounding, and all that follows has no
      // weight.
      for probe in 0..<width { recurrences[probe].offDiagonal.append(w.normalize(next, probe).squareRoot()) }
    }
    // 3. The eigensystem of each probe's tridiagonal matrix.
    let found = try agreed(sums) { try recurrences.map { try $0.quadrature() } }
    quadratures = found.map(\.nodes)
    rescue = found.lazy.compactMap(\.rescue).first
  }

  /// Estimates tr √A.
  ///
  /// - Parameter trace: the trace of A.
  /// - Returns: the estimate and its standard error, both in the units of W.
  func squareRoot(trace: Double) -> (value: Double, error: Double) {
    // The fit weighs each node as the quadratures do, so it is best where the eigenvalues of A lie.
    let points = quadratures.joined()
    let total = points.reduce(0) { $0 + $1.weight }
    guard total > 0 else { return (0, 0) }
    let meanNode = points.reduce(0) { $0 + $1.weight * $1.node } / total
    let meanRoot = points.reduce(0) { $0 + $1.weight * $1.node.squareRoot() } / total
    let variance = points.reduce(0) { $0 + $1.weight * ($1.node - meanNode) * ($1.node - meanNode) }
    let covariance = points.reduce(0) {
      $0 + $1.weight * ($1.node - meanNode) * ($1.node.squareRoot() - meanRoot)
    }
    let slope = variance > 0 ? covariance / variance : 0
    let constant = meanRoot - slope * meanNode
    let rests = quadratures.map { probe in
      probe.reduce(0) { $0 + $1.weight * ($1.node.squareRoot() - constant - slope * $1.node) }
    }
    let rest = rests.reduce(0, +) / Double(rests.count)
    let spread = rests.reduce(0) { $0 + ($1 - rest) * ($1 - rest) }
    let error = (spread / Double(max(1, rests.count - 1) * rests.count)).squareRoot()
    let value = constant * Double(dimension) + slope * trace + rest
    return (value, error)
  }

  /// The memory that the iterations take at most, in bytes: Lanczos vectors, blocks and their partial sums.
  static func bytes(order: Int, rank: Int, partials: Int) -> Int {
    let width = probes
    return order * width * (8 * (steps + 1) + 4 * (2 + partials)) + 8 * rank * width
  }

  /// The tridiagonal matrix of one probe.
  private struct Recurrence {
    let squaredLength: Double
    var diagonal: [Double] = []
    var offDiagonal: [Double] = []

    /// The nodes and weights of the probe, and why the usual eigensolver's result was refused, if it was.
    ///
    /// - Throws: ``SolverError/noConvergence(info:order:)``, or another ``SolverError``, if two algorithms failed.
    func quadrature() throws(SolverError) -> (nodes: [(node: Double, weight: Double)], rescue: SolverError?) {
      let steps = diagonal.count
      let matrix = try AlignedBuffer<Double>(count: steps * steps)
      for index in 0..<steps {
        matrix.elements[index * (steps + 1)] = diagonal[index]
        if index + 1 < steps { matrix.elements[index * (steps + 1) + 1] = offDiagonal[index] }
      }
      let found = try DoubleLAPACK.eigensystem(matrix, order: steps, vectors: true)
      let nodes = found.values.indices.map { index in
        let first = matrix.elements[index * steps]
        return (node: max(found.values[index], 0), weight: first * first * squaredLength)
      }
      return (nodes, found.rescue)
    }
  }

  /// The vectors of the iterations: a block of `order × width` in double for each step, and the block in single
  /// precision that W multiplies.
  private struct Workspace {
    let order: Int
    let rank: Int
    let width: Int
    let basis: AlignedBuffer<Double>
    let lanczos: AlignedBuffer<Double>
    let coefficients: AlignedBuffer<Double>
    let block: AlignedBuffer<Float>
    let image: AlignedBuffer<Float>

    init(order: Int, rank: Int, width: Int, steps: Int, basis: AlignedBuffer<Double>) throws(SolverError) {
      self.order = order
      self.rank = rank
      self.width = width
      self.basis = basis
      lanczos = try AlignedBuffer(count: order * width * (steps + 1))
      coefficients = try AlignedBuffer(count: rank * width)
      block = try AlignedBuffer(count: order * width)
      image = try AlignedBuffer(count: order * width)
    }

    /// The block of a step.
    func vector(_ step: Int) -> UnsafeMutablePointer<Double> { lanczos.start + step * order * width }

    /// x := (I − V·Vᵀ)·x.
    func project(_ x: UnsafeMutablePointer<Double>) {
      DoubleLAPACK.multiply(
        basis.start, x, aTransposed: true, rows: rank, columns: width, inner: order, into: coefficients.start)
      DoubleLAPACK.multiply(
        basis.start, coefficients.start, rows: order, columns: width, inner: rank, alpha: -1, beta: 1, into: x)
    }

    /// The inner product of the columns `probe` of two blocks.
    func product(_ x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>, _ probe: Int) -> Double {
      var sum = 0.0
      for index in probe * order..<(probe + 1) * order { sum += x[index] * y[index] }
      return sum
    }

    /// Makes the column `probe` of `x` orthogonal to the probe's first `steps` vectors. Twice is enough (Giraud and
    /// others 2005).
    func orthogonalize(_ x: UnsafeMutablePointer<Double>, against steps: Int, _ probe: Int) {
      for _ in 0..<2 {
        for step in 0..<steps {
          let vector = vector(step)
          let share = product(vector, x, probe)
          for index in probe * order..<(probe + 1) * order { x[index] -= share * vector[index] }
        }
      }
    }

    /// Scales the column `probe` to length 1, and returns the square of the length it had.
    func normalize(_ x: UnsafeMutablePointer<Double>, _ probe: Int) -> Double {
      let square = product(x, x, probe)
      if square > 0 {
        let factor = 1 / square.squareRoot()
        for index in probe * order..<(probe + 1) * order { x[index] *= factor }
      }
      return square
    }
  }
}
