/// The rates of one rank of a machine, which turn operations into seconds.
package struct MachineRates: Codable, Sendable, Equatable {
  /// The number of BLAS threads of the rank.
  package var threads: Int
  /// The number of such ranks that worked at the same time when this was measured. They share memory and clock.
  package var processes: Int
  /// The BLAS library, its version and kernels, or how else the numbers came about.
  package var source: String
  /// The rate of score panels: two products of 2·m·n·n operations, and everything that is done once with every score.
  package var scores: RateCurve
  /// The rate of the Gram matrix in double precision, m·n² operations, with reading the panels.
  package var gramDouble: RateCurve
  /// The rate of the Gram matrix in single precision.
  package var gramSingle: RateCurve
  /// The rate of ``DistSVD/LocalEigensolver`` in double precision, counted as 9·n³ operations.
  package var eigensolverDouble: RateCurve
  /// The rate of the local eigensolver in single precision.
  package var eigensolverSingle: RateCurve
  /// The bytes a second that all ranks of one node together read from storage.
  package var readBytesPerSecond: Double
  /// The rates of teams beside those of a rank alone.
  package var teams: TeamRates

  enum CodingKeys: String, CodingKey {
    case threads, processes, source, scores, teams
    case gramDouble = "gram_f64"
    case gramSingle = "gram_f32"
    case eigensolverDouble = "eigensolver_f64"
    case eigensolverSingle = "eigensolver_f32"
    case readBytesPerSecond = "read_bytes_per_second"
  }

  /// The built-in rates, which are used until this machine is calibrated. They are those of two cores of an AMD EPYC (Zen 4,
  /// docs/measurements.md).
  package static let standard = MachineRates(
    threads: 1, processes: 2, source: "built in",
    scores: RateCurve([(256, 88e9), (1024, 92e9), (4096, 92e9)]),
    gramDouble: RateCurve([(256, 26e9), (1024, 36e9), (4096, 46e9)]),
    gramSingle: RateCurve([(256, 59e9), (1024, 83e9), (4096, 101e9)]),
    eigensolverDouble: RateCurve([(256, 18e9), (1024, 48e9), (4096, 62e9)]),
    eigensolverSingle: RateCurve([(256, 22e9), (1024, 64e9), (4096, 98e9)]),
    readBytesPerSecond: 2e9, teams: .standard)

  /// The rates of the same machine with another number of threads for each rank.
  ///
  /// With several threads, products do 97% of what as many single threads would. The reduction to tridiagonal form waits for memory, so an
  /// eighth of the eigensolver's time does not shrink (Amdahl 1967).
  package func with(threads wanted: Int) -> MachineRates {
    guard wanted != threads, wanted > 0 else { return self }
    func products(_ threads: Int) -> Double { threads == 1 ? 1 : 0.97 * Double(threads) }
    func solver(_ threads: Int) -> Double { 1 / (0.125 + 0.875 / Double(threads)) }
    var result = self
    result.threads = wanted
    let product = products(wanted) / products(threads)
    result.scores = scores.scaled(by: product)
    result.gramDouble = gramDouble.scaled(by: product)
    result.gramSingle = gramSingle.scaled(by: product)
    result.eigensolverDouble = eigensolverDouble.scaled(by: solver(wanted) / solver(threads))
    result.eigensolverSingle = eigensolverSingle.scaled(by: solver(wanted) / solver(threads))
    return result
  }

  /// Whether every number is finite and of a possible size, which those of a damaged or edited file may not be.
  var isSensible: Bool {
    let curves = [scores, gramDouble, gramSingle, eigensolverDouble, eigensolverSingle]
    return (1...4096).contains(threads) && processes >= 1 && curves.allSatisfy(\.isSensible)
      && readBytesPerSecond.isFinite && readBytesPerSecond >= 1 && teams.isSensible
  }
}
