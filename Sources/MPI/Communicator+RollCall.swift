import CMPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension Communicator {
  /// Finds out which ranks answer: every rank sends a byte to rank 0, and rank 0 sends one back to each when it has heard all.
  ///
  /// Unlike a collective call, it comes back although other ranks never call it. After a call that has found somebody missing no other call
  /// of MPI may be made but ``abort(status:)``, since messages are still under way.
  ///
  /// - Parameter seconds: the time to wait. Ranks other than 0 wait twice as long, so that rank 0 speaks first.
  /// - Returns: the ranks that did not answer, ascending: on rank 0 those it has not heard, on another rank `[0]` or nothing.
  ///
  /// C functions: `MPI_Isend`, `MPI_Irecv`, `MPI_Test` (MPI-3.1 §3.7).
  package func rollCall(within seconds: Double) throws(MPIError) -> [Int] {
    let others = isRoot ? Array(1..<size) : [0]
    let limit = isRoot ? seconds : 2 * seconds
    guard size > 1 else { return [] }
    if isRoot {
      let silent = try exchange(with: others, sending: false, within: limit)
      guard silent.isEmpty else { return silent }
      return try exchange(with: others, sending: true, within: limit)
    }
    let unheard = try exchange(with: others, sending: true, within: limit)
    return try unheard.isEmpty ? exchange(with: others, sending: false, within: limit) : unheard
  }

  /// Sends a byte to each of some ranks, or gets one from each.
  ///
  /// - Returns: the ranks with which that is not done in time.
  private func exchange(with ranks: [Int], sending: Bool, within seconds: Double) throws(MPIError) -> [Int] {
    // MPI may write into the bytes of an unfinished message at any time, so they are freed only when all are done.
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: ranks.count)
    bytes.initialize(repeating: 0, count: ranks.count)
    var open: [(rank: Int, request: cmpi_request)] = []
    for (index, rank) in ranks.enumerated() {
      var request = cmpi_request()
      let code =
        sending
        ? cmpi_start_send(handle, bytes + index, 1, cmpi_uint8, Int32(rank), &request)
        : cmpi_start_receive(handle, bytes + index, 1, cmpi_uint8, Int32(rank), &request)
      try check(code, sending ? "MPI_Isend" : "MPI_Irecv")
      open.append((rank, request))
    }
    let clock = ContinuousClock()
    let end = clock.now + .seconds(seconds)
    while true {
      var left: [(rank: Int, request: cmpi_request)] = []
      for var message in open {
        var done: Int32 = 0
        try check(cmpi_test(&message.request, &done), "MPI_Test")
        if done == 0 { left.append(message) }
      }
      open = left
      if open.isEmpty { break }
      guard clock.now < end else { return open.map(\.rank) }
      usleep(1000)
    }
    bytes.deallocate()
    return []
  }
}
