import Execution
import MPI
import RunCore
import ShardIO
import SystemPackage

/// `spectra.safetensors` (docs/reference/formats.md): the singular values of every matrix, to which its power law was fitted.
package struct SpectraFile {
  /// The name of the file.
  package static let fileName = "spectra.safetensors"
  private static let singularValues = "singular_values"

  private let arrays: MatrixArrays
  private let context: RunContext

  /// Lays out the file.
  ///
  /// - Parameter counts: the number of singular values of each matrix, by ordinal.
  package init(counts: [Int], in context: RunContext) throws {
    arrays = try MatrixArrays(lengths: counts, arrays: [(Self.singularValues, .f32)])
    self.context = context
  }

  /// Writes equal copies of the file, with the spectrum of one matrix in memory at a time.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - copies: the paths of the copies, at least one; no file has one of them.
  ///   - ordinals: the matrices that this rank writes; each is written by one rank.
  ///   - spectrum: returns the singular values of a matrix, in any order, in the units in which its power law was fitted.
  package func write(
    _ copies: [FilePath], of ordinals: [Int], _ spectrum: (Int) throws -> [Double]
  ) throws -> RecordedFile {
    let stage = "spectra file"
    return try context.stage(stage) {
      context.sharesEqually()
      return try arrays.write(copies, on: context.world, context.watch) { writer in
        for (done, ordinal) in ordinals.enumerated() {
          try context.watch.check()
          let stored = StoredSpectrum(try spectrum(ordinal))
          try writer.write(stored.values, of: ordinal, to: Self.singularValues)
          try writer.write(exponent: stored.exponent, of: ordinal)
          context.advanced(stage, to: Double(done + 1) / Double(ordinals.count))
        }
      }
    }
  }
}
