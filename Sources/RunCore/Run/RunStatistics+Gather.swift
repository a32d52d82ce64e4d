import MPI

extension RunStatistics {
  /// Gathers what every rank has measured.
  ///
  /// Collective: every rank calls it, with phases of the same names in the same order.
  init(
    of sources: [String: String], threads: Int, blas: String, phases: [(name: String, seconds: Double)], peakBytes: Int,
    written: (bytes: Int, time: Duration),
    resumedMatrices: Int, rescued: [String: String], world: Communicator
  ) throws {
    let seconds = try world.allGather(phases.map(\.seconds))
    let hosts = try world.allGather(Array(HostName.own.utf8))
    self.sources = sources
    ranks = world.size
    self.hosts = hosts.map { String(decoding: $0, as: UTF8.self) }
    self.threads = threads
    mpi = MPI.libraryVersion()
    self.blas = blas
    self.phases = phases.indices.map { phase in
      Phase(name: phases[phase].name, seconds: seconds.map { $0[phase] })
    }
    peakAnonymousBytes = try world.allGather(peakBytes)
    journalBytes = try world.allGather(written.bytes)
    journalSeconds = try world.allGather(written.time.seconds)
    self.resumedMatrices = resumedMatrices
    self.rescued = rescued
  }
}
