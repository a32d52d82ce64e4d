/// The metrics of a spectrum that are computed beyond those that take next to no time.
package struct SpectralOptions: Sendable, Equatable {
  /// The fewest eigenvalues of a spectrum that gets a power-law fit. WeightWatcher skips matrices with fewer.
  package var minimumEigenvalues: Int
  /// Whether to clip fingers (``PowerLawFit/clippingFingers(_:)``).
  package var fitsFingers: Bool
  /// Whether to fit a truncated power law above the power law's xmin.
  package var fitsTruncated: Bool
  /// Whether the truncated fit seeks its xmin near the peak of the density, as `fit='E_TPL'` does.
  package var truncatesFromPeak: Bool
  /// Whether to fit a Marchenko–Pastur law to the spectrum. Spectra of shuffled entries always get one.
  package var fitsMarchenkoPastur: Bool
  /// The number of spectra to draw for the p-value; 0 for no p-value.
  package var bootstraps: Int
  /// The key of the random numbers of the p-value.
  package var seed: UInt64
  /// The stream of random numbers, one for each matrix, so that those of two matrices are independent.
  package var stream: UInt64

  /// Asks for the power-law fit and the norms, and for whatever is set.
  package init(
    minimumEigenvalues: Int = 8, fitsFingers: Bool = false, fitsTruncated: Bool = false,
    truncatesFromPeak: Bool = false, fitsMarchenkoPastur: Bool = false, bootstraps: Int = 0, seed: UInt64 = 0,
    stream: UInt64 = 0
  ) {
    self.minimumEigenvalues = minimumEigenvalues
    self.fitsFingers = fitsFingers
    self.fitsTruncated = fitsTruncated
    self.truncatesFromPeak = truncatesFromPeak
    self.fitsMarchenkoPastur = fitsMarchenkoPastur
    self.bootstraps = bootstraps
    self.seed = seed
    self.stream = stream
  }
}
