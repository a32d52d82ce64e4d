/// Which metrics of a spectrum to compute beyond those that cost next to nothing.
public struct SpectralOptions: Sendable, Equatable {
  /// Spectra of fewer eigenvalues get no power-law fit; WeightWatcher skips their matrices.
  public var minimumEigenvalues: Int
  /// Whether to clip fingers: see ``PowerLawFit/clippingFingers(_:)``.
  public var fitsFingers: Bool
  /// Whether to fit a truncated power law above the power law's xmin.
  public var fitsTruncated: Bool
  /// Whether the truncated fit looks for its xmin near the peak of the density, as `fit='E_TPL'` does.
  public var truncatesFromPeak: Bool
  /// Whether to fit a Marchenko–Pastur law to the spectrum. That of shuffled entries gets one wherever there is one.
  public var fitsMarchenkoPastur: Bool
  /// How many spectra to draw for the p-value; 0 for none.
  public var bootstraps: Int
  /// Chooses the random numbers of the p-value.
  public var seed: UInt64
  /// One for each matrix, so that their random numbers are independent.
  public var stream: UInt64

  /// Power-law fit and norms alone, unless asked for more.
  public init(
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
