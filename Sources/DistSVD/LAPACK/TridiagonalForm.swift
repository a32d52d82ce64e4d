import CMPI

/// A symmetric tridiagonal matrix T, to which eigensolvers reduce every symmetric matrix.
struct Tridiagonal {
  let diagonal: [Double]
  /// The diagonal below the main one, which is one element shorter.
  let offDiagonal: [Double]

  /// The factor by which eigenvalues of T may be farther from those of the matrix than
  /// ``SpectrumSolver/resolution(largest:order:)`` says.
  ///
  /// It is 2.5 by way of a band and 1 for the direct way. At most 2.2 and 0.9 were found, for constructed matrices of
  /// orders 512 to 3072, half of whose singular values are 1 and half 1e-5.
  let rounding: Double

  var order: Int { diagonal.count }

  /// The least order at which the way by a band is faster (docs/decisions/0013).
  static let leastOrderOfStages = 3072

  /// Reduces the symmetric matrix in the lower triangle of `matrix` for its eigenvalues alone, and destroys it.
  ///
  /// Large matrices are reduced to a band first, by products of matrices, and the band to three diagonals (Bischof,
  /// Lang and Sun 2000). Half of the operations of the direct way are products with a vector, which wait for memory.
  ///
  /// - Parameter inStages: whether to go by way of a band; nil to let the order decide.
  /// - Complexity: 4/3·order³ operations.
  /// - Throws: ``SolverError``.
  ///
  /// C functions: `dsytrd`, `dsytrd_2stage`.
  init(
    reducing matrix: AlignedBuffer<Double>, order: Int, inStages: Bool? = nil
  ) throws(SolverError) {
    guard inStages ?? (order >= Self.leastOrderOfStages) else {
      self = try TridiagonalForm(reducing: matrix, order: order).tridiagonal
      return
    }
    let diagonals = try AlignedBuffer<Double>(count: 3 * order)
    let (main, other, factors) = (diagonals.start, diagonals.start + order, diagonals.start + 2 * order)
    func reduce(_ reflectors: AlignedBuffer<Double>, _ room: Int, _ work: AlignedBuffer<Double>, _ size: Int)
      throws(SolverError)
    {
      let info = clapack_lower_dsytrd_2stage(
        Int32(order), matrix.start, main, other, factors, reflectors.start, Int32(room), work.start, Int32(size))
      guard info == 0 else { throw .lapack(routine: "sytrd_2stage", info: Int(info)) }
    }
    let (room, size) = (try AlignedBuffer<Double>(count: 1), try AlignedBuffer<Double>(count: 1))
    try reduce(room, -1, size, -1)
    guard let reflectorCount = Int32(exactly: room.elements[0]), let workCount = Int32(exactly: size.elements[0]) else {
      throw .orderTooLarge(order)
    }
    let (reflectors, work) = (
      try AlignedBuffer<Double>(count: Int(reflectorCount)), try AlignedBuffer<Double>(count: Int(workCount))
    )
    try reduce(reflectors, reflectors.count, work, work.count)
    self.init(
      diagonal: withExtendedLifetime(diagonals) { Array(diagonals.elements[..<order]) },
      offDiagonal: withExtendedLifetime(diagonals) { Array(diagonals.elements[order..<2 * order - 1]) },
      rounding: 2.5)
  }

  /// The matrix of these diagonals; the one above the main diagonal equals the one below.
  init(diagonal: [Double], offDiagonal: [Double], rounding: Double = 1) {
    self.diagonal = diagonal
    self.offDiagonal = offDiagonal
    self.rounding = rounding
  }

  /// All eigenvalues, ascending.
  ///
  /// - Throws: ``SolverError/noConvergence(info:order:)``.
  /// - Complexity: O(order²) operations.
  ///
  /// C function: `dsterf`.
  func eigenvalues() throws(SolverError) -> [Double] {
    let (d, e) = try (padded(diagonal), padded(offDiagonal))
    let info = clapack_dsterf(Int32(order), d.start, e.start)
    guard info == 0 else { throw .noConvergence(info: Int(info), order: order) }
    return withExtendedLifetime(d) { Array(d.elements) }
  }

  /// The algorithms that find eigenvectors. They fail on different matrices, so each can stand in for another.
  enum Algorithm {
    /// Divide and conquer, which finds all eigenvectors: `dstedc` (Gu and Eisenstat 1995).
    case divideAndConquer
    /// Relatively robust representations: `dstemr` (Dhillon and Parlett 2004).
    case relativelyRobust
    /// Bisection and inverse iteration: `dstebz` and `dstein`. Takes O(order·count²) operations where many eigenvalues
    /// lie close together.
    case inverseIteration

    /// The algorithms that find `count` of `order` eigenvectors, in the order in which they are tried.
    static func choices(count: Int, order: Int) -> [Algorithm] {
      count == order ? [.divideAndConquer, .relativelyRobust] : [.relativelyRobust, .inverseIteration]
    }
  }

  /// Some eigenvectors: `order × positions.count`, column-major, in descending order of the eigenvalues.
  ///
  /// - Parameter positions: the positions of their eigenvalues in descending order. Divide and conquer takes all.
  /// - Throws: ``SolverError/noConvergence(info:order:)``.
  /// - Complexity: O(order·count) operations; O(order³) at most by divide and conquer.
  ///
  /// C functions: `dstemr`; `dstebz`, `dstein`; `dstedc`.
  func vectors(_ positions: Range<Int>, by algorithm: Algorithm) throws(SolverError) -> AlignedBuffer<Double> {
    guard algorithm != .divideAndConquer else { return try allVectors() }
    let count = positions.count
    let (d, e) = try (padded(diagonal), padded(offDiagonal))
    let values = try AlignedBuffer<Double>(count: order)
    let found = try AlignedBuffer<Double>(count: order * count)
    let work = try AlignedBuffer<Double>(count: 18 * order)
    let integerWork = try AlignedBuffer<Int32>(count: 10 * order)
    let more = try AlignedBuffer<Int32>(count: 3 * order)
    var number: Int32 = 0
    let (n, first, last) = (Int32(order), Int32(order - positions.upperBound + 1), Int32(order - positions.lowerBound))
    let info =
      switch algorithm {
      case .relativelyRobust, .divideAndConquer:
        clapack_dstemr_range(
          n, first, last, d.start, e.start, values.start, found.start, more.start, work.start, integerWork.start,
          &number)
      case .inverseIteration:
        clapack_dstein_range(
          n, first, last, d.start, e.start, values.start, found.start, more.start, more.start + order,
          more.start + 2 * order,
          work.start, integerWork.start, &number)
      }
    guard info == 0, number == Int32(count) else {
      throw .noConvergence(info: Int(info == 0 ? -1 : info), order: order)
    }
    let places = (0..<count).sorted { values.elements[$0] > values.elements[$1] }
    let sorted = try AlignedBuffer<Double>(count: order * count)
    for (to, from) in places.enumerated() {
      (sorted.start + to * order).update(from: found.start + from * order, count: order)
    }
    return sorted
  }

  /// All eigenvectors by divide and conquer, in descending order of the eigenvalues.
  private func allVectors() throws(SolverError) -> AlignedBuffer<Double> {
    // The workspace has more elements than 32 bits count above this order.
    guard order <= SolverError.largestOrder else { throw .orderTooLarge(order) }
    let (d, e) = try (padded(diagonal), padded(offDiagonal))
    let found = try AlignedBuffer<Double>(count: order * order)
    let work = try AlignedBuffer<Double>(count: 1 + 4 * order + order * order)
    let integerWork = try AlignedBuffer<Int32>(count: 3 + 5 * order)
    let info = Double.tridiagonalEigensystem(
      order: order, diagonal: d.start, offDiagonal: e.start, vectors: found.start, work: work.elements,
      integerWork: integerWork.elements)
    guard info == 0 else { throw .noConvergence(info: info, order: order) }
    // LAPACK's order is the ascending one.
    for column in 0..<order / 2 {
      let (first, last) = (found.start + column * order, found.start + (order - 1 - column) * order)
      for row in 0..<order { (first[row], last[row]) = (last[row], first[row]) }
    }
    return found
  }

  /// A copy of a diagonal with room for `order` elements, as LAPACK wants it.
  private func padded(_ elements: [Double]) throws(SolverError) -> AlignedBuffer<Double> {
    let buffer = try AlignedBuffer<Double>(count: order)
    _ = buffer.elements.update(fromContentsOf: elements)
    return buffer
  }
}

/// A symmetric matrix as Q·T·Qᵀ with T tridiagonal, on one rank.
struct TridiagonalForm {
  let tridiagonal: Tridiagonal
  /// Q as reflectors below the subdiagonal of an `order × order` matrix.
  private let reflectors: AlignedBuffer<Double>
  private let factors: AlignedBuffer<Double>

  /// Reduces the symmetric matrix in the lower triangle of `matrix`, in the memory of the matrix.
  ///
  /// - Complexity: 4/3·order³ operations, half of them a vector at a time.
  ///
  /// C function: `dsytrd`.
  init(reducing matrix: AlignedBuffer<Double>, order: Int) throws(SolverError) {
    let diagonals = try AlignedBuffer<Double>(count: 2 * order)
    let work = try AlignedBuffer<Double>(count: 64 * order)
    factors = try AlignedBuffer(count: order)
    reflectors = matrix
    let info = Double.tridiagonalize(
      order: order, matrix.start, diagonal: diagonals.start, offDiagonal: diagonals.start + order,
      factors: factors.start, work: work.elements)
    guard info == 0 else { throw .lapack(routine: "sytrd", info: info) }
    tridiagonal = withExtendedLifetime(diagonals) {
      Tridiagonal(
        diagonal: Array(diagonals.elements[..<order]),
        offDiagonal: Array(diagonals.elements[order..<max(order, 2 * order - 1)]))
    }
  }

  /// Z := Q·Z, with Z `order × count`, column-major.
  ///
  /// - Complexity: that of ``Reflectors/apply(to:count:)``.
  func rotate(_ z: AlignedBuffer<Double>, count: Int) throws(SolverError) {
    try Reflectors(reflectors, order: tridiagonal.order, factors: factors).apply(to: z, count: count)
  }
}
