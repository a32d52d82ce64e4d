import CMPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension Communicator {
  /// Finds out which ranks answer: every rank sends a byte to rank 0, which sends one back to each that it hears.
  ///
  /// Unlike a collective call, it comes back although other ranks never call it. After a call that has found somebody silent no other call
  /// of MPI may be made but ``abort(status:)``, since messages are still under way.
  ///
  /// - Parameter seconds: the time to wait. Rank 0 waits a second longer, so that a rank which is not heard can say so itself.
  /// - Returns: the ranks that did not answer, ascending: on rank 0 those it has not heard, on another rank `[0]` or nothing.
  ///
  /// C functions: `MPI_Isend`, `MPI_Irecv`, `MPI_Test` (MPI-3.1 §3.7).
  package func rollCall(within seconds: Double) throws(MPIError) -> [Int] {
    if isRoot {
      var callers = try RollCallMessages(with: Array(1..<size), on: self)
      var answers = try RollCallMessages(with: [], on: self)
      let silent = try callers.finish(within: seconds + 1) { rank throws(MPIError) in
        try answers.send(to: rank)
      }
      return try silent.isEmpty ? answers.finish(within: seconds) : silent
    }
    var call = try RollCallMessages(with: [], on: self)
    try call.send(to: 0)
    var answer = try RollCallMessages(with: [0], on: self)
    // The call is over when its answer is there.
    return try answer.finish(within: seconds)
  }
}

/// Messages of one byte that are under way.
private struct RollCallMessages {
  private let communicator: Communicator
  private var open: [(rank: Int, request: cmpi_request)] = []

  /// Awaits a byte from each of some ranks.
  init(with ranks: [Int], on communicator: Communicator) throws(MPIError) {
    self.communicator = communicator
    for rank in ranks {
      var request = cmpi_request()
      let code = cmpi_start_receive(communicator.handle, Self.room(), 1, cmpi_uint8, Int32(rank), &request)
      try check(code, "MPI_Irecv")
      open.append((rank, request))
    }
  }

  mutating func send(to rank: Int) throws(MPIError) {
    var request = cmpi_request()
    try check(cmpi_start_send(communicator.handle, Self.room(), 1, cmpi_uint8, Int32(rank), &request), "MPI_Isend")
    open.append((rank, request))
  }

  /// Waits until all messages are over, or the time is.
  ///
  /// - Parameter arrived: is called with the rank of each message that is over.
  /// - Returns: the ranks whose messages are not over.
  mutating func finish(
    within seconds: Double, arrived: (Int) throws(MPIError) -> Void = { _ throws(MPIError) in }
  ) throws(MPIError) -> [Int] {
    let end = ContinuousClock.now + .seconds(seconds)
    while !open.isEmpty {
      var left: [(rank: Int, request: cmpi_request)] = []
      for var message in open {
        var done: Int32 = 0
        try check(cmpi_test(&message.request, &done), "MPI_Test")
        if done == 0 { left.append(message) } else { try arrived(message.rank) }
      }
      open = left
      guard ContinuousClock.now < end else { break }
      if !open.isEmpty { usleep(1000) }
    }
    return open.map(\.rank)
  }

  /// A byte that is never freed, since MPI may write to that of a message which nobody answers whenever it likes.
  private static func room() -> UnsafeMutablePointer<UInt8> {
    let byte = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    byte.initialize(to: 0)
    return byte
  }
}
