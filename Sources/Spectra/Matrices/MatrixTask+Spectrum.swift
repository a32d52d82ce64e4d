import DistSVD
import Execution
import RunCore

extension MatrixTask {
  /// The singular values of the matrix, in the units of ``source``, and its leading vectors.
  ///
  /// The singular values have been compared with the norm of the matrix.
  ///
  /// Collective in a team: every member calls it.
  package func spectrum(leading: LeadingVectors?) throws -> SpectrumResult {
    let result = try spectrum(of: source, leading: leading)
    try locally { try check(singularValues: result.singularValues, precision: .f64) }
    return result
  }

  /// The spectrum of another matrix of the same shape, which the same ranks hold.
  ///
  /// Collective in a team: every member calls it.
  package func spectrum(of source: some PanelSource, leading: LeadingVectors?) throws -> SpectrumResult {
    guard let team else { return try SpectrumSolver.solve(source, leading: leading) }
    return try SpectrumSolver.solve(
      source, leading: leading, on: team.processGrid(), bandElements: Self.teamBandElements, agreeing: locally)
  }

  /// The spectrum of each position of a convolution's kernel. These matrices are small, so every member of a team does all of them.
  ///
  /// Collective in a team: every member calls it.
  package func kernelSpectra(positions: Int) throws -> [SpectrumResult] {
    try locally {
      let results = try (0..<positions).map {
        try SpectrumSolver.solve(KernelPosition(source, position: $0, of: positions))
      }
      try check(singularValues: results.flatMap(\.singularValues), precision: .f64)
      return results
    }
  }
}
