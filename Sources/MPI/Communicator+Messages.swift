import CMPI

/// A message that is under way. The object owns its words until the receiver takes them.
///
/// C function: `MPI_Issend` (MPI-3.1 §3.7.2).
package final class PendingMessage {
  private var request: PendingRequest
  private let words: UnsafeMutableBufferPointer<Int>

  fileprivate init(_ values: [Int], to receiver: Int, on communicator: Communicator) throws(MPIError) {
    words = .allocate(capacity: values.count)
    _ = words.initialize(from: values)
    var started = cmpi_request()
    let code = cmpi_start_synchronous_send(
      communicator.handle, words.baseAddress, Int32(values.count), Int.mpiType.cValue, Int32(receiver), &started)
    request = PendingRequest(started)
    try checkSilently(code, "MPI_Issend")
  }

  // MPI may still read the words of a message that nobody has taken, so these are never freed.
  deinit { if request.isDone { words.deallocate() } }

  /// Whether the receiver has taken the message. The call lets MPI make progress, and is no heartbeat.
  ///
  /// C function: `MPI_Test` (MPI-3.1 §3.7.3).
  package func test() throws(MPIError) -> Bool { try request.test() }

  /// Waits until the receiver has taken the message.
  ///
  /// C function: `MPI_Wait` (MPI-3.1 §3.7.3).
  package func wait() throws(MPIError) { try request.wait() }
}

/// Messages between two ranks. They are no heartbeats: what one rank says is no sign that another gets something done.
extension Communicator {
  /// Starts to send `words` to a rank, and returns at once.
  ///
  /// The message is complete only when the receiver takes it. So a sender that waits for that before the next message keeps at most one of
  /// them waiting at the receiver, however long the receiver is away.
  package func startMessage(_ words: [Int], to receiver: Int) throws(MPIError) -> PendingMessage {
    try PendingMessage(words, to: receiver, on: self)
  }

  /// Takes a message that has arrived; nil if there is none. Messages of one rank come in the order in which they were sent.
  ///
  /// - Parameter count: the number of words of every message on this communicator.
  ///
  /// C functions: `MPI_Iprobe` and `MPI_Recv` (MPI-3.1 §3.8.1, §3.2.4).
  package func arrivedMessage(ofCount count: Int) throws(MPIError) -> (sender: Int, words: [Int])? {
    var words = [Int](repeating: 0, count: count)
    var sender: Int32 = -1
    let code = words.withUnsafeMutableBufferPointer {
      cmpi_receive_arrived(handle, $0.baseAddress, Int32(count), Int.mpiType.cValue, &sender)
    }
    try checkSilently(code, "MPI_Recv")
    return sender < 0 ? nil : (Int(sender), words)
  }
}
