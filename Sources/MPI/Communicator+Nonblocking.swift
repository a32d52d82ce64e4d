import CMPI

/// A sum over all ranks that is under way. The object owns its buffers until the sum is finished.
///
/// C function: `MPI_Iallreduce` (MPI-3.1 §5.12.4).
package final class PendingSum {
  private var request: PendingRequest
  private let sent: UnsafeMutableBufferPointer<Int>
  private let received: UnsafeMutableBufferPointer<Int>

  fileprivate init(_ values: [Int], on communicator: Communicator) throws(MPIError) {
    sent = .allocate(capacity: values.count)
    received = .allocate(capacity: values.count)
    _ = sent.initialize(from: values)
    received.initialize(repeating: 0)
    var started = cmpi_request()
    let code = cmpi_start_all_reduce(
      communicator.handle, sent.baseAddress, received.baseAddress, Int32(values.count), Int.mpiType.cValue, cmpi_sum,
      &started)
    request = PendingRequest(started)
    try check(code, "MPI_Iallreduce")
  }

  // MPI may still write into the buffers of an unfinished sum, so these are never freed.
  deinit {
    if request.isDone {
      sent.deallocate()
      received.deallocate()
    }
  }

  /// Whether the sum is complete. The call lets MPI make progress.
  ///
  /// It is a heartbeat only once the sum is complete, since a rank that asks again and again gets nothing done.
  ///
  /// C function: `MPI_Test` (MPI-3.1 §3.7.3).
  package func test() throws(MPIError) -> Bool { try request.testCollective() }

  /// Waits until the sum is complete.
  ///
  /// C function: `MPI_Wait` (MPI-3.1 §3.7.3).
  package func wait() throws(MPIError) { try request.wait() }

  /// The values that this rank has contributed, valid while the object lives.
  package var contribution: UnsafeBufferPointer<Int> { UnsafeBufferPointer(sent) }

  /// The element-wise sum over all ranks, valid while the object lives. Waits until it is complete.
  package func result() throws(MPIError) -> UnsafeBufferPointer<Int> {
    try wait()
    return UnsafeBufferPointer(received)
  }
}

/// A barrier that is under way: it is complete once every rank has started it.
///
/// C function: `MPI_Ibarrier` (MPI-3.1 §5.12.1).
package final class PendingBarrier {
  private var request: PendingRequest

  fileprivate init(on communicator: Communicator) throws(MPIError) {
    var started = cmpi_request()
    let code = cmpi_start_barrier(communicator.handle, &started)
    request = PendingRequest(started)
    try check(code, "MPI_Ibarrier")
  }

  /// Whether every rank has started the barrier. It is a heartbeat only then.
  ///
  /// C function: `MPI_Test` (MPI-3.1 §3.7.3).
  package func test() throws(MPIError) -> Bool { try request.testCollective() }

  /// Waits until every rank has started the barrier.
  ///
  /// C function: `MPI_Wait` (MPI-3.1 §3.7.3).
  package func wait() throws(MPIError) { try request.wait() }
}

extension Communicator {
  /// Starts a barrier, and returns at once.
  ///
  /// Collective: every rank starts the same barriers and sums in the same order.
  package func startBarrier() throws(MPIError) -> PendingBarrier { try PendingBarrier(on: self) }

  /// Starts the element-wise sum of `values` over all ranks, and returns at once. Several sums may be under way.
  ///
  /// Collective: every rank starts the same sums in the same order, each with the same `values.count`, which is at most
  /// ``maximumCount``.
  package func startSum(_ values: [Int]) throws(MPIError) -> PendingSum {
    precondition(values.count <= maximumCount, "a non-blocking sum is one MPI call")
    return try PendingSum(values, on: self)
  }
}
