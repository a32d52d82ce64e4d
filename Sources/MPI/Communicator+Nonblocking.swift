import CMPI

/// A sum over all ranks under way; its buffers live here until it is finished.
///
/// C function: `MPI_Iallreduce` (MPI-3.1 §5.12.4).
public final class PendingSum {
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

  // MPI may still write into the buffers of an unfinished sum: they are then left to it, for good.
  deinit {
    if isDone {
      sent.deallocate()
      received.deallocate()
    }
  }

  /// Whether the sum is complete; gives MPI the chance to make progress.
  ///
  /// C function: `MPI_Test` (MPI-3.1 §3.7.3).
  public func test() throws(MPIError) -> Bool {
    if !isDone {
      var done: Int32 = 0
      try check(cmpi_test(&request, &done), "MPI_Test")
      isDone = done != 0
    }
    return isDone
  }

  /// Waits for the sum.
  ///
  /// C function: `MPI_Wait` (MPI-3.1 §3.7.3).
  public func wait() throws(MPIError) {
    if !isDone {
      try check(cmpi_wait(&request), "MPI_Wait")
      isDone = true
    }
  }

  /// What this rank put in.
  public var contribution: UnsafeBufferPointer<Int> { UnsafeBufferPointer(sent) }

  /// The element-wise sum over all ranks; waits for it if need be.
  public func result() throws(MPIError) -> UnsafeBufferPointer<Int> {
    try wait()
    return UnsafeBufferPointer(received)
  }
}

extension Communicator {
  /// Starts the element-wise sum of `values` over all ranks and returns at once.
  ///
  /// Collective: every rank starts the same sums in the same order, with the same `values.count`, at most
  /// ``maximumCount``. Several may be under way.
  public func startSum(_ values: [Int]) throws(MPIError) -> PendingSum {
    precondition(values.count <= maximumCount, "a non-blocking sum is one MPI call")
    return try PendingSum(values, on: self)
  }
}
