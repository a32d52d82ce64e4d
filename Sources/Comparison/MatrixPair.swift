import DistSVD
import Execution
import MPI
import RunCore
import Spectra
import Weights

/// Two matrices of one shape that are compared, and the ranks that compare them.
struct MatrixPair {
  /// The matrix of the base.
  let base: MatrixTask
  /// The matrix of the tuned model, with the same ranks.
  let tuned: MatrixTask
  /// The number of positions of a convolution's kernel; nil for other matrices.
  let positions: Int?
  /// Whether the norms pass has found the same bytes in both.
  let isSame: Bool
  let metrics: ComparisonChoice

  /// The most elements of the second matrix that a `DifferenceSource` holds beside a panel; more only for very long rows.
  static let differenceSlabElements = 1 << 18

  /// Decomposes both matrices, and measures what lies between them.
  ///
  /// Collective in a team: every member calls it, and gets the same result.
  func compare() throws -> ComparedMatrix {
    // 1. The norm of the difference, and the alignment.
    let products =
      try isSame
      ? PairProducts.equal(isZero: base.squaredNorm == 0) : naming("both models", base) { try PairProducts(self) }
    // 2. The spectra of both.
    let before = try naming("the base", base) { try SpectralSide(base, positions: positions, leading: metrics.leading) }
    // Equal matrices have the same spectrum, so it is found once.
    let after =
      try products.distance == 0
      ? nil
      : naming("the tuned model", tuned) { try SpectralSide(tuned, positions: positions, leading: metrics.leading) }
    // 3. The row, with reasons for what is missing.
    var rescues = [before.rescue.map { "base: \($0)" }, after?.rescue.map { "tuned: \($0)" }]
    var compared = ComparedMatrix(
      ordinal: base.ordinal, base: before.quality, tuned: (after ?? before).quality, norm: products.distance,
      relativeNorm: products.relativeDistance, alignment: products.alignment)
    if products.relativeDistance == nil { compared.reasons["update_relative_norm"] = "the base is all zeros" }
    if products.alignment == nil {
      compared.reasons["cka"] =
        before.quality.logNorm == nil ? "the base is all zeros" : "the tuned matrix is all zeros"
    }
    // 4. The leading vectors of both, and the spectrum of the difference if asked for.
    try base.locally { try compared.measureSpaces(before, after ?? before, self, products) }
    if metrics.deltaSpectrum {
      if products.distance > 0 {
        let (spectrum, rescue) = try naming("the difference of the models", base) { try updateSpectrum(products) }
        compared.spectrum = spectrum
        rescues.append(rescue.map { "difference: \($0)" })
      }
      if compared.spectrum == nil {
        for name in ComparedMatrix.updateColumns { compared.reasons[name] = "the matrices are equal" }
      }
    }
    // 5. The spectra that were rescued.
    let rescue = rescues.compactMap { $0 }.joined(separator: "; ")
    compared.rescue = rescue.isEmpty ? nil : rescue
    return compared
  }

  /// Does `work`, and makes its failure say which model it concerns, since both may have a tensor of that name.
  private func naming<Value>(_ model: String, _ task: MatrixTask, _ work: () throws -> Value) throws -> Value {
    do {
      return try work()
    } catch let error as MPIError {
      throw error
    } catch {
      let failure = (error as? SolverError).map { RunFailure($0, on: task.matrix) } ?? RunFailure(error)
      throw RunFailure(failure.kind, "\(model): \(failure.message)")
    }
  }

  /// The spectrum of ΔW, and why the usual solver's result was refused; nil if it was not.
  ///
  /// Collective in a team: every member calls it.
  private func updateSpectrum(_ products: PairProducts) throws -> (spectrum: UpdateSpectrum?, rescue: String?) {
    // ΔW may be far smaller than W. It is decomposed in units in which it is neither small nor large.
    let unit = products.unit
    let (first, second) = (base.source.scaled(by: unit), tuned.source.scaled(by: unit))
    let results: [SpectrumResult]
    if let positions {
      results = try base.locally {
        try (0..<positions).map { position in
          try SpectrumSolver.solve(
            DifferenceSource(
              KernelPosition(second, position: position, of: positions),
              minus: KernelPosition(first, position: position, of: positions)))
        }
      }
    } else {
      let difference = try base.locally { try DifferenceSource(second, minus: first) }
      results = [try base.spectrum(of: difference, leading: nil)]
    }
    return (
      UpdateSpectrum(results.flatMap(\.singularValues), unit: unit), results.compactMap(\.rescue).first?.description
    )
  }
}

/// The norm of the difference of a pair, and how far its matrices are aligned.
struct PairProducts {
  /// ‖ΔW‖_F, in the units of the weights.
  let distance: Double
  /// ‖ΔW‖_F/‖W‖_F; nil if the base is 0.
  let relativeDistance: Double?
  /// ‖W₁ᵀW₂‖/√(‖W₁ᵀW₁‖·‖W₂W₂ᵀ‖); for a convolution the mean over its kernel's positions. It is nil if one matrix is 0.
  let alignment: Double?
  /// The exponent of the power of two that ΔW is divided by before it is decomposed; 0 for ordinary matrices.
  let unit: Int

  /// The products of two matrices that are the same.
  static func equal(isZero: Bool) -> PairProducts {
    PairProducts(distance: 0, relativeDistance: isZero ? nil : 0, alignment: isZero ? nil : 1, unit: 0)
  }

  private init(distance: Double, relativeDistance: Double?, alignment: Double?, unit: Int) {
    self.distance = distance
    self.relativeDistance = relativeDistance
    self.alignment = alignment
    self.unit = unit
  }

  /// Streams both matrices and measures them.
  ///
  /// Collective in a team: every member calls it. The bits of the result do not depend on the number of members.
  init(_ pair: MatrixPair) throws {
    let (a, b) = (pair.base, pair.tuned)
    let own = try Self.products(pair, a.source, b.source)
    // A difference needs one unit for both matrices: that of the larger one.
    let isBaseLarger =
      a.squaredNorm.times(powerOfTwo: 2 * (a.exponent - b.exponent)) >= b.squaredNorm
    let unit = isBaseLarger ? a.exponent : b.exponent
    let common =
      try a.exponent == b.exponent
      ? own : Self.products(pair, a.source.scaled(by: unit), b.source.scaled(by: unit))
    let squared = common.reduce(0) { $0 + $1.squaredDistance }
    guard squared > 0 else {
      self = .equal(isZero: a.squaredNorm == 0)
      return
    }
    distance = squared.squareRoot().times(powerOfTwo: unit)
    // In its own units the base does not vanish, however much larger the tuned matrix is.
    let norm = own.reduce(0) { $0 + $1.squaredNorms.a }
    relativeDistance =
      norm > 0 ? (squared / norm).squareRoot().times(powerOfTwo: unit - a.exponent) : nil
    let alignments = own.compactMap(\.alignment)
    alignment = alignments.isEmpty ? nil : alignments.reduce(0, +) / Double(alignments.count)
    self.unit = unit + Magnitude(squared).working
  }

  /// The products of each kernel position; one entry for a matrix that is no convolution.
  private static func products(_ pair: MatrixPair, _ a: MatrixPanels, _ b: MatrixPanels) throws -> [CrossProducts] {
    let task = pair.base
    if let positions = pair.positions {
      return try task.locally {
        try (0..<positions).map {
          try CrossProducts(
            KernelPosition(a, position: $0, of: positions), KernelPosition(b, position: $0, of: positions))
        }
      }
    }
    guard let team = task.team else { return [try CrossProducts(a, b)] }
    return [try CrossProducts(a, b, sums: TeamChunkSums(team: team.communicator, agreeing: task.locally))]
  }
}
