import RunCore
import ShardIO
import SystemPackage

/// `histograms.safetensors`: how the ranked values of every matrix are distributed, from which the masks of other budgets are estimated.
///
/// Bins are those of ``CoarseSums``: eight to a power of two.
/// Nothing in the file is trusted.
package struct RecordedHistograms: Sendable {
  /// The bins of matrix i are `offsets[i]..<offsets[i + 1]` of what follows.
  private let offsets: [Int]
  /// The number of each bin that is not empty, ascending in a matrix.
  private let bins: [UInt16]
  /// The number of ranked values in each bin, 1 or more.
  private let counts: [Int]
  /// The sum of the scores of these weights, in the units in which the scores of the matrix are stored.
  private let sums: [Double]
  /// The exponent u of every matrix: ranked values are those of the bins times 2^u.
  private let exponents: [Int]

  /// Whether all matrices rank in the same units, so that one threshold can hold for all.
  var sharesUnits: Bool { exponents.allSatisfy { $0 == exponents.first } }

  /// Reads and checks the file.
  ///
  /// - Parameter sizes: the number of weights of every matrix, by ordinal.
  /// - Throws: ``RunFailure`` of kind `.data` for a file that is not of the documented form or of other matrices; `SourceError` or
  ///   `CheckpointError` if it cannot be read.
  package init(_ path: FilePath, sizes: [Int]) throws {
    func refuse(_ problem: String) -> RunFailure { RunFailure(.data, "\(shown(path)): \(problem)") }
    let source = try SourceKind.pread.open(path)
    let header = try ShardHeader.read(from: source)
    func tensor(_ tensor: HistogramLayout.Tensor, _ types: [DType], count: Int? = nil) throws -> TensorInfo {
      let name = tensor.rawValue
      guard let info = header.tensors.first(where: { ExactName($0.name) == ExactName(name) }) else {
        throw refuse("there is no tensor '\(name)': it is no file of histograms")
      }
      guard types.contains(info.dtype), info.shape.count == 1, count ?? info.shape[0] == info.shape[0] else {
        throw refuse(
          "tensor '\(name)' is \(info.dtype.rawValue) \(shown(info.shape)), should be "
            + "\(types.map(\.rawValue).joined(separator: " or ")) [\(count.map { "\($0)" } ?? "bins")]")
      }
      return info
    }
    // 1. The tensors. Their sizes are those of the file, so nothing larger than it is allocated.
    offsets = try Self.read(tensor(.offsets, [.i64], count: sizes.count + 1), from: source)
    let binsInfo = try tensor(.bins, [.u16])
    bins = try Self.read(binsInfo, from: source).map { UInt16(truncatingIfNeeded: $0) }
    counts = try Self.read(tensor(.counts, [.i32, .i64], count: bins.count), from: source)
    sums = try Self.readNumbers(tensor(.sums, [.f32, .f64], count: bins.count), from: source)
    exponents = try Self.read(tensor(.exponents, [.i32], count: sizes.count), from: source)
    // 2. The bins of each matrix: in their order, and with as many values as the matrix has weights.
    guard offsets.first == 0, offsets.last == bins.count, zip(offsets, offsets.dropFirst()).allSatisfy(<=) else {
      throw refuse("'offsets' do not lead from 0 to the \(bins.count) bins")
    }
    for (ordinal, size) in sizes.enumerated() {
      let range = offsets[ordinal]..<offsets[ordinal + 1]
      var (last, left) = (-1, size)
      for place in range {
        guard Int(bins[place]) > last, Int(bins[place]) < CoarseSums.binCount else {
          throw refuse("the bins of matrix \(ordinal) do not ascend below \(CoarseSums.binCount)")
        }
        guard (1...max(left, 1)).contains(counts[place]), left > 0 else {
          throw refuse("the counts of matrix \(ordinal) do not add up to its \(size) weights")
        }
        guard sums[place].isFinite, sums[place] >= 0 else {
          throw refuse("a sum of scores of matrix \(ordinal) is \(sums[place])")
        }
        last = Int(bins[place])
        left -= counts[place]
      }
      guard left == 0 else { throw refuse("the counts of matrix \(ordinal) do not add up to its \(size) weights") }
    }
  }

  private static func read(_ info: TensorInfo, from source: any ByteSource) throws -> [Int] {
    try bytes(of: info, from: source) { raw in
      switch info.dtype {
      case .u16: elements(raw, of: UInt16.self) { Int(UInt16(littleEndian: $0)) }
      case .i32: elements(raw, of: Int32.self) { Int(Int32(littleEndian: $0)) }
      default: elements(raw, of: Int64.self) { Int(Int64(littleEndian: $0)) }
      }
    }
  }

  private static func readNumbers(_ info: TensorInfo, from source: any ByteSource) throws -> [Double] {
    try bytes(of: info, from: source) { raw in
      info.dtype == .f32
        ? elements(raw, of: UInt32.self) { Double(Float(bitPattern: UInt32(littleEndian: $0))) }
        : elements(raw, of: UInt64.self) { Double(bitPattern: UInt64(littleEndian: $0)) }
    }
  }

  private static func bytes<Result>(
    of info: TensorInfo, from source: any ByteSource, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws -> Result {
    var scratch = ScratchBytes()
    return try source.withBytes(in: info.byteRange, scratch: &scratch) { body($0) }
  }

  private static func elements<Stored, Element>(
    _ raw: UnsafeRawBufferPointer, of type: Stored.Type, _ value: (Stored) -> Element
  ) -> [Element] {
    let size = MemoryLayout<Stored>.size
    return (0..<raw.count / size).map { value(raw.loadUnaligned(fromByteOffset: $0 * size, as: type)) }
  }
}

/// What a matrix keeps of its ranked values, as its histogram tells.
package struct EstimatedMask: Sendable, Equatable {
  /// The number of kept weights.
  package var count = 0
  /// The fewest weights that the matrix may really keep.
  package var least = 0
  /// The most weights that it may really keep.
  package var most = 0
  /// The sum of their scores, in the units in which the scores of the matrix are stored. Of the bin that is cut, the kept weights are taken
  /// to have the mean score.
  package var sum = 0.0
}

extension RecordedHistograms {
  /// What every matrix keeps if one threshold keeps `keep` weights of all.
  ///
  /// What is left for the bin of the threshold is shared among matrices in proportion to what they have in it. So the number of a matrix is
  /// right but for its values in that bin.
  ///
  /// - Parameters:
  ///   - keep: K, at most the number of all weights.
  ///   - room: the most weights of K that may be kept by no matrix, since only whole blocks are kept.
  /// - Complexity: O(number of bins in the file).
  func selected(keeping keep: Int, room: Int = 0) -> [EstimatedMask] {
    var all = [Int](repeating: 0, count: CoarseSums.binCount)
    for (bin, count) in zip(bins, counts) { all[Int(bin)] += count }
    guard keep > 0, let border = RankedBin.holding(keep, of: all.count, { all[$0] }) else {
      return exponents.map { _ in EstimatedMask() }
    }
    // 1. Share out what the border bin has left.
    let places = exponents.indices.map { ordinal in range(of: ordinal).first { bins[$0] == border.bin } }
    let there = places.map { $0.map { counts[$0] } ?? 0 }
    let left = keep - border.above
    let spare = left < all[border.bin] ? room : 0
    let shares = Shares.divide(left, by: there.map(Double.init), sizes: there)
    // 2. Add up what lies above it.
    return exponents.indices.map { ordinal in
      var found = above(ordinal, UInt16(border.bin))
      let others = all[border.bin] - there[ordinal]
      found.least += max(0, left - spare - others)
      found.most += min(left, there[ordinal])
      if let place = places[ordinal] { take(shares[ordinal], of: place, into: &found) }
      return found
    }
  }

  /// What one matrix keeps if it keeps its `keep` largest values, at most as many as it has.
  ///
  /// - Parameter room: the most weights of these that may not be kept, since only whole blocks are kept.
  func selected(of ordinal: Int, keeping keep: Int, room: Int = 0) -> EstimatedMask {
    var found = EstimatedMask()
    var spare = 0
    for place in range(of: ordinal).reversed() where found.count < keep {
      let taken = min(keep - found.count, counts[place])
      spare = taken < counts[place] ? min(room, taken) : 0
      take(taken, of: place, into: &found)
    }
    (found.least, found.most) = (found.count - spare, found.count)
    return found
  }

  private func range(of ordinal: Int) -> Range<Int> { offsets[ordinal]..<offsets[ordinal + 1] }

  /// All that a matrix has in the bins above `border`.
  private func above(_ ordinal: Int, _ border: UInt16) -> EstimatedMask {
    var found = EstimatedMask()
    for place in range(of: ordinal).reversed() {
      guard bins[place] > border else { break }
      take(counts[place], of: place, into: &found)
    }
    (found.least, found.most) = (found.count, found.count)
    return found
  }

  /// Adds `count` of the values of a bin, and their part of its sum.
  private func take(_ count: Int, of place: Int, into found: inout EstimatedMask) {
    found.count += count
    found.sum += count == counts[place] ? sums[place] : sums[place] * (Double(count) / Double(counts[place]))
  }
}
