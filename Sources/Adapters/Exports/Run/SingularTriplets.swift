import DistSVD
import Execution
import FactorCache
import RunCore
import Spectra
import Weights

/// Some singular triplets of a matrix, from a decomposition or from stored factors.
struct SingularTriplets {
  /// The singular values, descending, in the units of the weights.
  let values: [Double]
  /// The left vectors as columns, `m × count`, column-major.
  let left: AlignedBuffer<Float>
  /// The right vectors as columns, `n × count`, column-major.
  let right: AlignedBuffer<Float>

  var count: Int { values.count }

  /// - Parameter exponent: the exponent e by which the decomposed matrix was scaled.
  init(_ svd: ThinSVD, exponent: Int) {
    values = svd.singularValues.map { $0.times(powerOfTwo: exponent) }
    (left, right) = (svd.left, svd.right)
  }

  /// Reads triplets from stored factors, which hold enough of them.
  init(_ wanted: Triplets, of factors: MatrixFactors) throws {
    let positions = wanted.positions(order: min(factors.rows, factors.columns))
    values = factors.singularValues[positions].map(Double.init)
    left = try factors.vectors(.left, positions)
    right = try factors.vectors(.right, positions)
  }
}

/// Where an export takes singular triplets from.
struct TripletSource {
  /// The stored factors; nil to decompose the matrices.
  let factors: FactorFolder?
  /// The ordinals, in the checkpoint's catalog, of the matrices of a stage, by their position in the stage.
  let ordinals: [Int]

  /// Makes or reads several choices of triplets of a matrix.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameter body: is called with the position of each choice, its triplets, and why a usual solver's result was refused if it was.
  func forEach(
    _ wanted: [Triplets], of task: MatrixTask, _ body: (_ position: Int, SingularTriplets, SolverError?) throws -> Void
  ) throws {
    guard let factors else {
      return try task.forEachTriplets(wanted) {
        try body($0, SingularTriplets($1, exponent: task.exponent), $1.rescue)
      }
    }
    let stored = try task.locally { try opened(factors, task) }
    defer { factors.release(ordinals[task.ordinal]) }
    for (position, triplets) in wanted.enumerated() {
      try body(position, task.locally { try SingularTriplets(triplets, of: stored) }, nil)
    }
  }

  /// All singular values of a matrix, descending, in the units of the weights.
  ///
  /// Collective in a team: every member calls it.
  func singularValues(of task: MatrixTask) throws -> (values: [Double], rescue: String?) {
    guard let factors else {
      let result = try task.spectrum(leading: nil)
      return (
        result.singularValues.map { $0.times(powerOfTwo: task.exponent) }, result.rescue?.description
      )
    }
    return (try task.locally { try opened(factors, task).singularValues.map(Double.init) }, nil)
  }

  private func opened(_ factors: FactorFolder, _ task: MatrixTask) throws -> MatrixFactors {
    try factors.factors(
      of: ordinals[task.ordinal], squaredNorm: task.squaredNorm.times(powerOfTwo: 2 * task.exponent))
  }
}
