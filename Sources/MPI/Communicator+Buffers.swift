import CMPI

/// Collective methods that work in the caller's own memory, for arrays that are too large to be copied.
extension Communicator {
  /// Sums `values` over all ranks, element by element, and leaves each rank its own part of the sum, in place.
  ///
  /// Collective: every rank calls it, with the same `counts`.
  ///
  /// - Parameters:
  ///   - values: the parts of rank 0, rank 1, … one after the other. Afterwards this rank's part lies at the start, and
  ///     the rest has no meaning.
  ///   - counts: the elements of each rank's part, at most `Int32.max` together.
  ///
  /// MPI holds copies of up to the whole buffer meanwhile. Sums of floating-point numbers may depend on the number of
  /// ranks.
  ///
  /// C function: `MPI_Reduce_scatter` with `MPI_SUM` (MPI-3.1 §5.10.2).
  package func reduceScatter<T: MPIDatatype>(
    _ values: UnsafeMutableBufferPointer<T>, counts: [Int]
  ) throws(MPIError) {
    precondition(counts.count == size, "one count for each rank")
    let (parts, _, total) = layOut(counts)
    precondition(values.count >= total, "the parts of all ranks do not fit")
    try check(
      cmpi_reduce_scatter(handle, values.baseAddress, parts, T.mpiType.cValue, cmpi_sum), "MPI_Reduce_scatter")
  }

  /// Gives every rank the parts of all ranks, in place.
  ///
  /// Collective: every rank calls it, with the same `counts`.
  ///
  /// - Parameters:
  ///   - values: room for the parts of rank 0, rank 1, … one after the other. This rank has put its own part in its
  ///     place.
  ///   - counts: the elements of each rank's part, at most `Int32.max` together.
  ///
  /// C function: `MPI_Allgatherv` (MPI-3.1 §5.7).
  package func allGather<T: MPIDatatype>(
    _ values: UnsafeMutableBufferPointer<T>, counts: [Int]
  ) throws(MPIError) {
    precondition(counts.count == size, "one count for each rank")
    let (parts, offsets, total) = layOut(counts)
    precondition(values.count >= total, "the parts of all ranks do not fit")
    try check(
      cmpi_all_gather_varying(handle, values.baseAddress, parts, offsets, T.mpiType.cValue), "MPI_Allgatherv")
  }

  /// The counts and offsets of all parts as C ints, and the sum of the counts.
  private func layOut(_ counts: [Int]) -> (parts: [Int32], offsets: [Int32], total: Int) {
    var offsets: [Int] = []
    var total = 0
    for count in counts {
      offsets.append(total)
      total += count
    }
    precondition(counts.allSatisfy { $0 >= 0 } && total <= Int(Int32.max), "a part is counted in C ints")
    return (counts.map { Int32($0) }, offsets.map { Int32($0) }, total)
  }
}
