/// The metrics of a matrix W whose entries have been shuffled. They tell how much of the spectrum of W is correlation,
/// and whether single large entries make traps.
package struct RandomizedMetrics: Sendable {
  /// The largest eigenvalue of all shuffled replicas.
  package let largest: Double
  /// The ``SpectralDistance/jensenShannon(_:_:)`` of the spectra of W and of the first replica.
  package let distance: Double?
  /// The largest eigenvalue of the first replica over that of W.
  package let softRank: Double?
  /// The largest eigenvalue of W less that of the first replica.
  package let maximumDistance: Double?
  /// The Marchenko–Pastur law of the eigenvalues of all replicas together. Its spikes are the correlation traps.
  package let marchenkoPastur: MarchenkoPasturFit?

  init?(_ spectrum: Spectrum, _ replicas: [Spectrum], _ reasons: inout ReasonList) {
    guard let first = replicas.first else { return nil }
    let pooled = replicas.count == 1 ? first.eigenvalues : replicas.flatMap(\.eigenvalues).sorted()
    largest = pooled.last ?? 0
    distance = SpectralDistance.jensenShannon(spectrum.eigenvalues, first.eigenvalues)
    let top = spectrum.eigenvalues.last ?? 0
    softRank = top > 0 ? first.eigenvalues.last.map { $0 / top } : nil
    maximumDistance = SpectralDistance.largest(spectrum.eigenvalues, above: first.eigenvalues)
    if softRank == nil { reasons.add(["ww_softrank"], "randomize: every singular value is zero") }
    if distance == nil {
      reasons.add(
        ["rand_distance"],
        "randomize: every singular value is zero, the sum of squares is beyond what Double holds, or shapes differ")
    }
    marchenkoPastur = reasons.fitBulk(pooled, of: spectrum, for: ReasonList.randomizedBulk)
  }
}
