import CMPI

extension Communicator {
  /// Returns once every rank has called it.
  ///
  /// Collective: every rank calls it.
  ///
  /// C function: `MPI_Barrier` (MPI-3.1 §5.3).
  package func barrier() throws(MPIError) {
    try check(cmpi_barrier(handle), "MPI_Barrier")
  }

  /// Copies the `values` of rank `root` to all ranks.
  ///
  /// Collective: every rank calls it, with the same `values.count`.
  ///
  /// C function: `MPI_Bcast` (MPI-3.1 §5.4). Counts above ``maximumCount`` go in chunks.
  package func broadcast<T: MPIDatatype>(_ values: inout [T], from root: Int = 0) throws(MPIError) {
    try inChunks(&values, "MPI_Bcast") { start, count in
      cmpi_broadcast(handle, start, count, T.mpiType.cValue, Int32(root))
    }
  }

  /// Copies the `values` of rank `root` to all ranks, in the caller's memory.
  ///
  /// Collective: every rank calls it, with the same `values.count`.
  ///
  /// C function: `MPI_Bcast` (MPI-3.1 §5.4). Counts above ``maximumCount`` go in chunks.
  package func broadcast<T: MPIDatatype>(_ values: UnsafeMutableBufferPointer<T>, from root: Int = 0) throws(MPIError) {
    let code = inChunks(values) { start, count in
      cmpi_broadcast(handle, start, count, T.mpiType.cValue, Int32(root))
    }
    try check(code, "MPI_Bcast")
  }

  /// The array of rank `root`, of any length, on all ranks. The arrays that other ranks pass are not read.
  ///
  /// Collective: every rank calls it.
  package func broadcasting<T: MPIDatatype>(_ values: [T], from root: Int = 0) throws(MPIError) -> [T] {
    var count = [values.count]
    try broadcast(&count, from: root)
    var result = rank == root ? values : [T](repeating: .zero, count: count[0])
    try broadcast(&result, from: root)
    return result
  }

  /// Combines `values` over all ranks, element by element, in place, on all ranks.
  ///
  /// Collective: every rank calls it, with the same `values.count`.
  ///
  /// Sums of floating-point numbers may depend on the number of ranks. Where results must not, frog-mpi gathers the
  /// numbers and adds them in an order of its own.
  ///
  /// C function: `MPI_Allreduce` (MPI-3.1 §5.9.6). Counts above ``maximumCount`` go in chunks.
  package func allReduce<T: MPIDatatype>(_ values: inout [T], _ operation: ReductionOperator) throws(MPIError) {
    try inChunks(&values, "MPI_Allreduce") { start, count in
      cmpi_all_reduce(handle, start, count, T.mpiType.cValue, operation.cValue)
    }
  }

  /// The `value` of all ranks, combined, on all ranks.
  ///
  /// Collective: every rank calls it.
  package func allReduced<T: MPIDatatype>(_ value: T, _ operation: ReductionOperator) throws(MPIError) -> T {
    var values = [value]
    try allReduce(&values, operation)
    return values[0]
  }

  /// The `value` of every rank, in rank order, on all ranks.
  ///
  /// Collective: every rank calls it.
  ///
  /// C function: `MPI_Allgather` (MPI-3.1 §5.7).
  package func allGather<T: MPIDatatype>(_ value: T) throws(MPIError) -> [T] {
    var result = [T](repeating: .zero, count: size)
    let code = withUnsafePointer(to: value) { send in
      result.withUnsafeMutableBufferPointer { cmpi_all_gather(handle, send, 1, T.mpiType.cValue, $0.baseAddress) }
    }
    try check(code, "MPI_Allgather")
    return result
  }

  /// The arrays of all ranks, in rank order, on rank `root`; empty elsewhere. Their lengths may differ.
  ///
  /// Collective: every rank calls it.
  ///
  /// C function: `MPI_Gatherv` (MPI-3.1 §5.5), in rounds of at most ``maximumCount`` elements together.
  package func gather<T: MPIDatatype>(_ values: [T], to root: Int = 0) throws(MPIError) -> [[T]] {
    let counts = try allGather(values.count)
    let share = max(1, maximumCount / size)
    var result = rank == root ? counts.map { [T](repeating: .zero, count: $0) } : []
    for start in stride(from: 0, to: counts.max() ?? 0, by: share) {
      let part = counts.map { Int32(max(0, min(share, $0 - start))) }
      var offsets: [Int32] = []
      var total: Int32 = 0
      for count in part {
        offsets.append(total)
        total += count
      }
      var received = [T](repeating: .zero, count: rank == root ? Int(total) : 0)
      let code = values.withUnsafeBufferPointer { send in
        received.withUnsafeMutableBufferPointer { receive in
          let first = part[rank] == 0 ? send.baseAddress : send.baseAddress.map { $0 + start }
          return cmpi_gather_varying(
            handle, first, part[rank], T.mpiType.cValue, receive.baseAddress, part, offsets, Int32(root))
        }
      }
      try check(code, "MPI_Gatherv")
      for source in result.indices where part[source] > 0 {
        let slice = received[Int(offsets[source])..<Int(offsets[source] + part[source])]
        result[source].replaceSubrange(start..<start + slice.count, with: slice)
      }
    }
    return result
  }

  /// The arrays of all ranks, in rank order, on all ranks. Their lengths may differ.
  ///
  /// Collective: every rank calls it.
  package func allGather<T: MPIDatatype>(_ values: [T]) throws(MPIError) -> [[T]] {
    let counts = try allGather(values.count)
    var flat = try gather(values).flatMap { $0 }
    flat = try broadcasting(flat)
    var start = 0
    return counts.map { count in
      defer { start += count }
      return Array(flat[start..<start + count])
    }
  }

  /// Calls `body` on consecutive pieces of `values`, none longer than ``maximumCount``, until a return code is not 0.
  ///
  /// - Parameter call: the C function that `body` calls, for the error.
  private func inChunks<T: MPIDatatype>(
    _ values: inout [T], _ call: String, _ body: (UnsafeMutableRawPointer?, Int32) -> Int32
  ) throws(MPIError) {
    try check(values.withUnsafeMutableBufferPointer { inChunks($0, body) }, call)
  }

  /// Calls `body` on consecutive pieces of `values`, none longer than ``maximumCount``, until a return code is not 0.
  private func inChunks<T: MPIDatatype>(
    _ values: UnsafeMutableBufferPointer<T>, _ body: (UnsafeMutableRawPointer?, Int32) -> Int32
  ) -> Int32 {
    let step = maximumCount
    for start in stride(from: 0, to: values.count, by: step) {
      let first = values.baseAddress.map { UnsafeMutableRawPointer($0 + start) }
      let code = body(first, Int32(min(step, values.count - start)))
      if code != 0 { return code }
    }
    return 0
  }
}
