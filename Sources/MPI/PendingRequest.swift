import CMPI

/// A non-blocking call of MPI that is under way: what sums, barriers and messages have in common.
struct PendingRequest {
  private var request: cmpi_request
  private(set) var isDone = false

  /// - Parameter request: what MPI has returned when the call was started.
  init(_ request: cmpi_request) { self.request = request }

  /// Whether the call is complete. It lets MPI make progress, and is no heartbeat.
  ///
  /// C function: `MPI_Test` (MPI-3.1 §3.7.3).
  mutating func test() throws(MPIError) -> Bool {
    if !isDone {
      var done: Int32 = 0
      try checkSilently(cmpi_test(&request, &done), "MPI_Test")
      isDone = done != 0
    }
    return isDone
  }

  /// The same for calls that all ranks have a part in: a heartbeat once the call is complete, and not before, since a rank that asks again
  /// and again gets nothing done.
  mutating func testCollective() throws(MPIError) -> Bool {
    let wasDone = isDone
    if try test(), !wasDone { Heartbeat.beat() }
    return isDone
  }

  /// Waits until the call is complete.
  ///
  /// C function: `MPI_Wait` (MPI-3.1 §3.7.3).
  mutating func wait() throws(MPIError) {
    if !isDone {
      try check(cmpi_wait(&request), "MPI_Wait")
      isDone = true
    }
  }
}
