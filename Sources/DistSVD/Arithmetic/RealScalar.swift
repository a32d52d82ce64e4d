import CMPI
import MPI

/// Float or Double: the width in which a Gram matrix is accumulated and decomposed.
///
/// The requirements are the routines that LAPACK offers once per width. All matrices are column-major, as in LAPACK.
package protocol RealScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable, MPIDatatype {
  /// C := A·Aᵀ + beta·C with A `order × inner`, or AᵀA + beta·C with A `inner × order`. Only the lower triangle of C is
  /// written.
  static func rankUpdate(
    transposed: Bool, order: Int, inner: Int, _ a: UnsafePointer<Self>, beta: Self, _ c: UnsafeMutablePointer<Self>)

  /// C := alpha·op(A)·op(B) + beta·C, with C `rows × columns`. The sum runs over `inner` terms.
  static func multiply(
    _ alpha: Self, _ a: UnsafePointer<Self>, leading aLeading: Int, transposed aTransposed: Bool,
    _ b: UnsafePointer<Self>, leading bLeading: Int, transposed bTransposed: Bool, rows: Int, columns: Int, inner: Int,
    beta: Self, _ c: UnsafeMutablePointer<Self>, leading cLeading: Int)

  /// Finds the triangular factor T, `count × count`, of a product of reflectors I − V·T·Vᵀ, V `rows × count` and dense.
  ///
  /// Only the upper triangle of T is written.
  static func blockReflector(
    rows: Int, count: Int, _ v: UnsafePointer<Self>, factors: UnsafePointer<Self>,
    _ triangle: UnsafeMutablePointer<Self>, leading: Int)

  /// Reduces the symmetric matrix in the lower triangle of `a` to Q·T·Qᵀ, T tridiagonal.
  ///
  /// Q is left as order − 1 Householder reflectors: their vectors below the subdiagonal of `a`, their scalars in
  /// `factors`.
  ///
  /// - Returns: LAPACK's `info`, 0 for success.
  static func tridiagonalize(
    order: Int, _ a: UnsafeMutablePointer<Self>, diagonal: UnsafeMutablePointer<Self>,
    offDiagonal: UnsafeMutablePointer<Self>, factors: UnsafeMutablePointer<Self>,
    work: UnsafeMutableBufferPointer<Self>
  ) -> Int

  /// Finds the eigensystem of a tridiagonal matrix by divide and conquer.
  ///
  /// Eigenvalues replace `diagonal`, ascending. Eigenvectors become the columns of `vectors`.
  ///
  /// - Returns: LAPACK's `info`, 0 for success.
  static func tridiagonalEigensystem(
    order: Int, diagonal: UnsafeMutablePointer<Self>, offDiagonal: UnsafeMutablePointer<Self>,
    vectors: UnsafeMutablePointer<Self>, work: UnsafeMutableBufferPointer<Self>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int

  /// Finds the eigensystem of the symmetric matrix in the lower triangle of `a` by QL and QR steps.
  ///
  /// Eigenvalues go to `values`, ascending. Eigenvectors replace `a`.
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

  /// y := A·x, or y := Aᵀ·x if `transposed`, with A `rows × columns` and dense.
  static func times(
    _ a: UnsafePointer<Self>, rows: Int, columns: Int, transposed: Bool, _ x: UnsafePointer<Self>,
    into y: UnsafeMutablePointer<Self>)

  /// Finds the eigensystem of a symmetric matrix that lies on a grid of ranks, by divide and conquer.
  ///
  /// The matrix is given by its lower triangle, which is destroyed.
  ///
  /// Collective: every member of the grid that `descriptor` names calls it.
  ///
  /// - Parameters:
  ///   - descriptor: ScaLAPACK's description of the layout that `a` and `vectors` share.
  ///   - values: all eigenvalues, ascending, on every member.
  ///   - vectors: the eigenvectors as columns, in the order of the values.
  /// - Returns: ScaLAPACK's `info`, 0 for success.
  static func distributedEigensystem(
    order: Int, _ a: UnsafeMutablePointer<Self>, descriptor: [Int32], values: UnsafeMutablePointer<Self>,
    vectors: UnsafeMutablePointer<Self>, work: UnsafeMutableBufferPointer<Self>,
    integerWork: UnsafeMutableBufferPointer<Int32>
  ) -> Int

  /// Finds the same eigensystem as ``distributedEigensystem(order:_:descriptor:values:vectors:work:integerWork:)``, by
  /// QL and QR steps.
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

  /// Reads a panel of `source` in this width, row-major and dense.
  static func read(
    _ source: some PanelSource, rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Self>
  ) throws
}
