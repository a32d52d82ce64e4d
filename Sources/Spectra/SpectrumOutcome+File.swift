import Execution
import MPI
import RunCore
import SpectralQuality
import SystemPackage
import Weights

extension SpectrumOutcome {
  /// Writes equal copies of `spectra.safetensors`, from the journal.
  ///
  /// Collective: every rank calls it, when all records of the journal are there.
  package func write(_ copies: [FilePath], of catalog: Catalog, in context: RunContext) throws -> RecordedFile {
    let file = try SpectraFile(counts: catalog.matrices.map(catalog.spectrumCount), in: context)
    let own = Array(stride(from: context.world.rank, to: catalog.matrices.count, by: context.world.size))
    return try file.write(copies, of: own) { ordinal in
      let reader = try RecordReader(journal.path(of: ordinal))
      let record = try reader.contents(as: SpectrumRecord.self).contents
      let values = try record.singularValues.flatMap { try reader.read($0, of: Double.self) }
      // The power law of a convolution was fitted to eigenvalues that are halved.
      guard catalog.kernel(of: catalog.matrices[ordinal]) != nil else { return values }
      return values.map { $0 * Spectrum.poolingScale.squareRoot() }
    }
  }
}
