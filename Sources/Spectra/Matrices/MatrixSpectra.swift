import DistSVD
import Execution
import FactorCache
import SpectralQuality
import Weights

/// The spectra of one matrix, in the units of its weights.
package struct MatrixSpectra {
  /// The singular values of each kernel position; one list for a matrix that is no convolution.
  let singularValues: [[Double]]
  /// The singular values of each shuffled copy, in the same form.
  var replicas: [[[Double]]] = []
  /// Four numbers for each singular vector of the shorter side: eigenvalue, entropy, localization ratio and participation ratio; nil if
  /// there are none.
  var vectors: [Double]?
  /// The leading singular vectors on the side of the residual stream, one after the other; nil if there are none.
  var leading: [Double]?
  /// Singular values below this are not known; 0 if all are.
  let resolution: Double
  /// Why the usual solver's result was refused; nil if it was not.
  let rescue: String?

  /// A spectrum that is known: what scoring a matrix has found, or stored factors.
  ///
  /// - Parameter singularValues: the values in the units of the weights, known as well as a Gram matrix in double precision tells them.
  package init(ofGram singularValues: [Double], rescue: String?) {
    let largest = singularValues.max() ?? 0
    let resolution = SpectrumSolver.resolution(largest: largest, order: singularValues.count)
    self.singularValues = [singularValues]
    self.resolution = singularValues.min() ?? 0 < resolution ? resolution : 0
    self.rescue = rescue
  }

  /// Decomposes a matrix.
  ///
  /// Collective in a team: every member calls it.
  ///
  /// - Parameters:
  ///   - positions: the number of positions of a convolution's kernel; nil for other matrices.
  ///   - side: the side whose leading vectors are wanted; nil for none.
  init(_ task: MatrixTask, positions: Int?, side: LeadingVectors.Side?, _ metrics: MetricChoice) throws {
    let unit = task.exponent
    func inUnitsOfWeights(_ values: [Double]) -> [Double] { values.map { $0.times(powerOfTwo: unit) } }
    if let positions, positions > 1 {
      let results = try task.kernelSpectra(positions: positions)
      singularValues = results.map { inUnitsOfWeights($0.singularValues) }
      resolution = (results.map(\.resolution).max() ?? 0).times(powerOfTwo: unit)
      rescue = results.compactMap(\.rescue).first?.description
      try task.locally { try addReplicas(task, positions: positions, metrics) }
      return
    }
    let order = task.matrix.order
    let near: LeadingVectors.Side = task.matrix.rows >= task.matrix.columns ? .right : .left
    let sides = Set([metrics.vectors ? near : nil, side].compactMap { $0 })
    let leading = sides.isEmpty ? nil : LeadingVectors(metrics.vectors ? order : metrics.overlap, sides)
    let result = try task.spectrum(leading: leading)
    singularValues = [inUnitsOfWeights(result.singularValues)]
    resolution = result.resolution.times(powerOfTwo: unit)
    rescue = result.rescue?.description
    if metrics.vectors, let found = near == .right ? result.right : result.left {
      vectors = Self.localization(found, eigenvalues: singularValues[0].map { $0 * $0 })
    }
    if let side, let found = side == .right ? result.right : result.left {
      self.leading = (0..<min(metrics.overlap, found.count)).flatMap { found[$0] }
    }
    if task.team == nil { try addReplicas(task, positions: 1, metrics) }
  }

  /// Takes the spectrum of a matrix from stored factors, all of them.
  ///
  /// - Parameter side: the side whose leading vectors are wanted; nil for none.
  init(
    _ factors: MatrixFactors, of task: MatrixTask, side: LeadingVectors.Side?, _ metrics: MetricChoice
  ) throws {
    self.init(ofGram: factors.singularValues.map { Double($0) }, rescue: nil)
    func vectors(_ side: LeadingVectors.Side, _ count: Int) throws -> SingularVectors {
      SingularVectors(
        try factors.vectors(side, 0..<count), dimension: side == .left ? factors.rows : factors.columns, count: count)
    }
    if metrics.vectors {
      self.vectors = Self.localization(
        try vectors(factors.rows >= factors.columns ? .right : .left, factors.count),
        eigenvalues: singularValues[0].map { $0 * $0 })
    }
    if let side, metrics.overlap > 0 {
      let found = try vectors(side, min(metrics.overlap, factors.count))
      leading = (0..<found.count).flatMap { found[$0] }
    }
    if task.team == nil { try addReplicas(task, positions: 1, metrics) }
  }

  private mutating func addReplicas(_ task: MatrixTask, positions: Int, _ metrics: MetricChoice) throws {
    let columns = task.matrix.columns / positions
    let count = min(task.matrix.rows, columns) * positions
    for replica in 0..<metrics.replicas(eigenvalues: count) {
      replicas.append(
        try (0..<positions).map { position in
          func spectrum(of source: some PanelSource) throws -> [Double] {
            let shuffled = try ShuffledMatrix(
              source, name: task.matrix.name, replica: replica * positions + position, seed: metrics.seed)
            return try SpectrumSolver.solve(shuffled).singularValues
          }
          let values =
            try positions == 1
            ? spectrum(of: task.source)
            : spectrum(of: KernelPosition(task.source, position: position, of: positions))
          return values.map { $0.times(powerOfTwo: task.exponent) }
        })
    }
  }

  private static func localization(_ vectors: SingularVectors, eigenvalues: [Double]) -> [Double] {
    (0..<min(vectors.count, eigenvalues.count)).flatMap { index -> [Double] in
      guard let found = VectorMetrics(vectors[index]) else { return [] }
      return [eigenvalues[index], found.entropy, found.localizationRatio, found.participationRatio]
    }
  }
}
