import CMPI

/// A sum over all ranks that is under way. The object owns its buffers until the sum is finished.
///
/// C function: `MPI_Iallreduce` (MPI-3.1 §5.12.4).
package final class PendingSum {
  private var request: cmpi_request
  private let sent: UnsafeMutableBufferPointer<Int>
  private let received: UnsafeMutableBufferPointer<Int>
  private var isDone = false

  fileprivate init(_ values: [Int], on communicator: Communicator) throws(MPIError) {
    sent = .allocate(capacity: values.count)
    received = .allocate(capacity: values.count)
    _ = sent.initialize(from: values)
    received.initialize(repeating: 0)
    request = cmpi_request()
    let code = cmpi_start_all_reduce(
      communicator.handle, sent.baseAddress, received.baseAddress, Int32(values.count), Int.mpiType.cValue, cmpi_sum,
      &request)
    try check(code, "MPI_Iallreduce")
  }

  // MPI may still write into the buffers of an unfinished sum, so these are never freed.
  deinit {
    if isDone {
      sent.deallocate()
      received.deallocate()
    }
  }

  /// Whether the sum is complete. The call lets MPI make progress.
  ///
  /// C function: `MPI_Test` (MPI-3.1 §3.7.3).
  package func test() throws(MPIError) -> Bool {
    if !isDone {
      var done: Int32 = 0
      try check(cmpi_test(&request, &done), "MPI_Test")
      isDone = done != 0
    }
    return isDone
  }

  /// Waits until the sum is complete.
  ///
  /// C function: `MPI_Wait` (MPI-3.1 §3.7.3).
  package func wait() throws(MPIError) {
    if !isDone {
      try check(cmpi_wait(&request), "MPI_Wait")
      isDone = true
    }
  }

  /// The values that this rank has contributed, valid while the object lives.
  package var contribution: UnsafeBufferPointer<Int> { UnsafeBufferPointer(sent) }

  /// The element-wise sum over all ranks, valid while the object lives. Waits until it is complete.
  package func result() throws(MPIError) -> UnsafeBufferPointer<Int> {
    try wait()
    return UnsafeBufferPointer(received)
  }
}

extension Communicator {
  /// Starts the element-wise sum of `values` over all ranks, and returns at once. Several sums may be under way.
  ///
  /// Collective: every rank starts the same sums in the same order, each with the same `values.count`, which is at most
  /// ``maximumCount``.
  package func startSum(_ values: [Int]) throws(MPIError) -> PendingSum {
    precondition(values.count <= maximumCount, "a non-blocking sum is one MPI call")
    return try PendingSum(values, on: self)
  }
}
