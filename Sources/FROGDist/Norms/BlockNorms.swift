import CKernels
import Crypto
import FoundationEssentials
import MPI
import ShardIO

/// What the first pass over the weights finds out: minutes of reading before hours of solving.
public struct Norms: Sendable {
  /// ‖W‖²_F of every matrix, by ordinal.
  public let squared: [Double]
  /// A digest of all weights, names, dtypes and shapes: equal inputs have equal fingerprints.
  public let fingerprint: String

  init(squared: [Double], fingerprint: String) {
    self.squared = squared
    self.fingerprint = fingerprint
  }

  /// ‖W‖_F of every matrix, by ordinal.
  public var frobenius: [Double] { squared.map { $0.squareRoot() } }
}

/// A run of weights of one matrix, the unit of the norms pass.
///
/// Its length is fixed, so that partial sums, and with them the last bit of every norm, do not depend on the number
/// of ranks.
struct NormBlock {
  static let weights = 1 << 22

  let matrix: Int
  /// Flat, row-major.
  let elements: Range<Int>
}

/// What one rank found in one block; trivially copied between ranks.
struct BlockResult: BitwiseCopyable {
  var sumOfSquares = 0.0
  /// Flat index in the matrix, or -1.
  var firstNonFinite = -1
  var hash = frog_hash128(low: 0, high: 0)

  static let words = 4
  var encoded: [UInt64] {
    [sumOfSquares.bitPattern, UInt64(bitPattern: Int64(firstNonFinite)), hash.low, hash.high]
  }

  init() {}
  init(encoded words: ArraySlice<UInt64>) {
    let start = words.startIndex
    sumOfSquares = Double(bitPattern: words[start])
    firstNonFinite = Int(Int64(bitPattern: words[start + 1]))
    hash = frog_hash128(low: words[start + 2], high: words[start + 3])
  }
}

extension Norms {
  /// Streams all weights once, each rank an equal share of them.
  ///
  /// Collective: every rank calls it. The result is the same on every rank, bit by bit, and for any number of ranks.
  ///
  /// - Throws: ``RunFailure`` naming the first weight, in order of name and index, that is NaN or infinite.
  /// - Complexity: one read of all matrices, divided by the ranks; 32 bytes per 2²² weights are exchanged.
  static func measure(
    _ catalog: Catalog, shards: OpenShards, world: Communicator, progress: (Double) -> Void
  ) throws -> Norms {
    let blocks = blocks(of: catalog)
    let share = blocks.count * world.rank / world.size..<blocks.count * (world.rank + 1) / world.size
    let own: [UInt64] = try world.agreeing {
      var words: [UInt64] = []
      var measure = BlockMeasure()
      for (done, block) in blocks[share].enumerated() {
        words += try measure(block, of: catalog, shards: shards).encoded
        progress(Double(done + 1) / Double(share.count))
      }
      return words
    }
    let words = try world.allGather(own).flatMap { $0 }
    let results = blocks.indices.map {
      BlockResult(encoded: words[$0 * BlockResult.words..<($0 + 1) * BlockResult.words])
    }
    try refuseNonFinite(blocks: blocks, results: results, catalog: catalog)
    let norms = Norms(blocks: blocks, results: results, catalog: catalog)
    // Only F64 weights can be that large, or that small.
    if let beyond = norms.squared.firstIndex(where: { !$0.isFinite || (0 < $0 && $0 < leastSquare) }) {
      let end = norms.squared[beyond].isFinite ? "vanish in" : "overflow"
      throw RunFailure(
        .data,
        "\(catalog.place(of: catalog.matrices[beyond])): its squared weights \(end) double precision; rescale it, or leave it out with "
          + "--exclude")
    }
    return norms
  }

  /// A sum of squares below it may have lost digits to those that are no normal numbers.
  private static let leastSquare = 0x1p-960

  /// All blocks in the order of the files, so that each rank's share is a few long reads.
  private static func blocks(of catalog: Catalog) -> [NormBlock] {
    let order = catalog.matrices.indices.sorted {
      (catalog.matrices[$0].shard, catalog.matrices[$0].offset) < (
        catalog.matrices[$1].shard, catalog.matrices[$1].offset
      )
    }
    return order.flatMap { matrix in
      let size = catalog.matrices[matrix].size
      return stride(from: 0, to: size, by: NormBlock.weights).map {
        NormBlock(matrix: matrix, elements: $0..<min(size, $0 + NormBlock.weights))
      }
    }
  }

  private static func refuseNonFinite(blocks: [NormBlock], results: [BlockResult], catalog: Catalog) throws {
    let found = zip(blocks, results).filter { $0.1.firstNonFinite >= 0 }
    guard
      let (block, result) = found.min(by: { ($0.0.matrix, $0.1.firstNonFinite) < ($1.0.matrix, $1.1.firstNonFinite) })
    else { return }
    let matrix = catalog.matrices[block.matrix]
    let (row, column) = result.firstNonFinite.quotientAndRemainder(dividingBy: matrix.columns)
    let others = found.count > 1 ? " (and \(found.count - 1) more blocks of weights have some)" : ""
    throw RunFailure(
      .data,
      "\(catalog.place(of: matrix)) is NaN or infinite at row \(row), column \(column)\(others); repair the checkpoint, or leave the tensor out with --exclude"
    )
  }

  /// Adds the partial sums in the order of the blocks, which depends on the checkpoint alone.
  private init(blocks: [NormBlock], results: [BlockResult], catalog: Catalog) {
    var squared = [Double](repeating: 0, count: catalog.matrices.count)
    var hashes = [[UInt64]](repeating: [], count: catalog.matrices.count)
    for (block, result) in zip(blocks, results) {
      squared[block.matrix] += result.sumOfSquares
      hashes[block.matrix] += [result.hash.low, result.hash.high]
    }
    var digest = SHA256()
    for (matrix, hash) in zip(catalog.matrices, hashes) {
      digest.update(
        data: Data(
          "\(matrix.name.utf8.count) \(matrix.name) \(matrix.dtype.rawValue) \(matrix.rows) \(matrix.columns)".utf8))
      for word in hash { withUnsafeBytes(of: word.littleEndian) { digest.update(bufferPointer: $0) } }
    }
    self.squared = squared
    fingerprint = "sha256-xxh3:" + digest.finalize().hexadecimal
  }
}

/// Reads blocks; keeps its buffers from one to the next.
private struct BlockMeasure: ~Copyable {
  /// Weights decoded at a time: they stay in the first-level cache until they are squared.
  static let chunk = 2048

  private var scratch = ScratchBytes()
  private var gathered = ScratchBytes()
  private var decoded = [Double](repeating: 0, count: chunk)
  /// The matrix of the last block: most of the time that of the next.
  private var open: (matrix: Int, view: TensorView)?

  mutating func callAsFunction(_ block: NormBlock, of catalog: Catalog, shards: OpenShards) throws -> BlockResult {
    let view: TensorView
    if let open, open.matrix == block.matrix {
      view = open.view
    } else {
      view = try shards.view(of: catalog.matrices[block.matrix])
      open = (block.matrix, view)
    }
    let width = view.dtype.bits / 8
    return try view.withStoredBytes(of: block.elements, scratch: &scratch, gathered: &gathered) { bytes in
      var result = BlockResult()
      result.hash = frog_hash(bytes.baseAddress, bytes.count)
      for first in stride(from: 0, to: block.elements.count, by: Self.chunk) {
        let count = min(Self.chunk, block.elements.count - first)
        let piece = UnsafeRawBufferPointer(rebasing: bytes[first * width..<(first + count) * width])
        var sum = decoded.withUnsafeMutableBufferPointer { buffer in
          let values = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
          view.decode(stored: piece, first: block.elements.lowerBound + first, into: values)
          return frog_sum_of_squares(values.baseAddress, count)
        }
        // A sum that is not finite is the cheap sign; only then is the weight looked for.
        if !sum.isFinite, result.firstNonFinite < 0, let at = decoded[..<count].firstIndex(where: { !$0.isFinite }) {
          result.firstNonFinite = block.elements.lowerBound + first + at
        }
        // Weights whose squares all vanish must not pass for zeros.
        if sum == 0, view.dtype == .f64, decoded[..<count].contains(where: { $0 != 0 }) { sum = .leastNonzeroMagnitude }
        result.sumOfSquares += sum
      }
      if block.elements.lowerBound == 0, let scales = view.scales { result.hash = Self.hash(result.hash, with: scales) }
      return result
    }
  }

  /// Weights are what codes and scales make together, so a fingerprint covers both.
  private static func hash(_ codes: frog_hash128, with scales: BlockScales) -> frog_hash128 {
    var bytes: [UInt8] = []
    for word in [codes.low, codes.high] { withUnsafeBytes(of: word.littleEndian) { bytes += $0 } }
    for value in scales.values { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
    return bytes.withUnsafeBytes { frog_hash($0.baseAddress, $0.count) }
  }
}
