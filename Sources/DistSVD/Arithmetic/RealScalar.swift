import CMPI
import MPI

/// Float or Double: the width a Gram matrix is accumulated and decomposed in.
///
/// The requirements are what LAPACK offers once per width. All matrices are column-major, as there.
public protocol RealScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable, MPIDatatype {
  /// C := A·Aᵀ + beta·C with A `order × inner`, or AᵀA with A `inner × order`; the lower triangle only.
  static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Self>, beta: Self, _ c: UnsafeMutablePointer<Self>)

  /// C := op(A)·op(B), with C `rows × columns` and dense, and the dimension `inner` summed over.
  static func multiply(
    _ a: UnsafePointer<Self>, leading aLeading: Int, transposed aTransposed: Bool, _ b: UnsafePointer<Self>,
    leading bLeading: Int, transposed bTransposed: Bool, rows: Int, columns: Int, inner: Int,
    _ c: UnsafeMutablePointer<Self>)

  /// Reduces the symmetric matrix in the lower triangle of `a` to Q·T·Qᵀ, T tridiagonal.
  ///
  /// Q is left as reflectors: their vectors below the subdiagonal of `a`, their `factors`, order − 1 of them.
  ///
  /// - Returns: LAPACK's `info`, 0 for success.
  static func tridiagonalize(
    order: Int, _ a: UnsafeMutablePointer<Self>, diagonal: UnsafeMutablePointer<Self>,
    offDiagonal: UnsafeMutablePointer<Self>, factors: UnsafeMutablePointer<Self>,
    work: UnsafeMutableBufferPointer<Self>
  ) -> Int

  /// Eigenvalues, ascending, over `diagonal`, and eigenvectors, as columns of `vectors`, of a tridiagonal matrix.
  ///
  /// - Returns: LAPACK's `info`, 0 for success.
  static func tridiagonalEigensystem(
    order: Int, diagonal: UnsafeMutablePointer<Self>, offDiagonal: UnsafeMutablePointer<Self>,
    vectors: UnsafeMutablePointer<Self>, work: UnsafeMutableBufferPointer<Self>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int

  /// Eigenvalues, ascending, in `values`, and eigenvectors over `a`, of the symmetric matrix in its lower triangle, by QL and QR steps.
  ///
  /// - Parameter work: at least 3·order scalars; more make the reduction to tridiagonal form faster.
  /// - Returns: LAPACK's `info`, 0 for success.
  static func implicitEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Self>, values: UnsafeMutablePointer<Self>,
    work: UnsafeMutableBufferPointer<Self>
  ) -> Int

  /// y := A·x with A symmetric, `order × order`, its lower triangle stored.
  static func symmetricTimes(
    order: Int, _ a: UnsafePointer<Self>, _ x: UnsafePointer<Self>, into y: UnsafeMutablePointer<Self>)

  /// y := A·x or Aᵀ·x, with A `rows × columns` and dense.
  static func times(
    _ a: UnsafePointer<Self>, rows: Int, columns: Int, transposed: Bool, _ x: UnsafePointer<Self>,
    into y: UnsafeMutablePointer<Self>)

  /// Eigenvalues, ascending, and eigenvectors of a symmetric matrix that lies on a grid of ranks, given by its lower triangle, which
  /// is destroyed.
  ///
  /// Collective: every member of the grid that `descriptor` names calls it.
  ///
  /// - Parameters:
  ///   - descriptor: of `a` and of `vectors`.
  ///   - values: gets all of them, on every member.
  /// - Returns: ScaLAPACK's `info`, 0 for success.
  static func distributedEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Self>, descriptor: [Int32], values: UnsafeMutablePointer<Self>,
    vectors: UnsafeMutablePointer<Self>, work: UnsafeMutableBufferPointer<Self>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int

  /// The same by QL and QR steps.
  ///
  /// Collective: every member of the grid that `descriptor` names calls it.
  static func distributedImplicitEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Self>, descriptor: [Int32], values: UnsafeMutablePointer<Self>,
    vectors: UnsafeMutablePointer<Self>, work: UnsafeMutableBufferPointer<Self>
  ) -> Int

  /// y := x + y.
  static func add(_ x: UnsafePointer<Self>, to y: UnsafeMutablePointer<Self>, count: Int)

  /// y := y − x.
  static func subtract(_ x: UnsafePointer<Self>, from y: UnsafeMutablePointer<Self>, count: Int)

  /// Reads a panel in this width.
  static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Self>
  ) throws
}
