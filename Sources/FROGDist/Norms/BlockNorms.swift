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

  /// Where it lies in its shard.
  func bytes(of matrix: Catalog.Matrix) -> Range<Int> {
    let width = matrix.dtype.bits / 8
    let start = matrix.offset + elements.lowerBound * width
    return start..<start + elements.count * width
  }
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
      var readAhead = BlockReadAhead()
      let own = Array(blocks[share])
      for (done, block) in own.enumerated() {
        readAhead.wait(for: done, count: own.count) { position in
          let matrix = catalog.matrices[own[position].matrix]
          return (try? shards.source(of: matrix)).map { ($0, own[position].bytes(of: matrix)) }
        }
        let matrix = catalog.matrices[block.matrix]
        words += try measure(block, of: matrix, source: shards.source(of: matrix)).encoded
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
    // Only F64 weights can be that large.
    if let overflow = norms.squared.firstIndex(where: { !$0.isFinite }) {
      let matrix = catalog.matrices[overflow]
      throw RunFailure(
        .data,
        "\(catalog.place(of: matrix)): its squared weights overflow double precision; rescale it, or leave it out with --exclude"
      )
    }
    return norms
  }

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
  /// Bytes lent at a time. Copied ones, and those of a fresh mapping, are still in the second-level cache when they are
  /// looked at for the second time.
  static let loanBytes = 1 << 18

  var scratch = ScratchBytes()
  let hasher = BlockHasher()
  var squares = SquareSums()

  /// One pass over the bytes of a block, which are given back afterwards.
  mutating func callAsFunction(
    _ block: NormBlock, of matrix: Catalog.Matrix, source: any ByteSource
  ) throws -> BlockResult {
    let width = matrix.dtype.bits / 8
    let bytes = block.bytes(of: matrix)
    var result = BlockResult()
    hasher.begin()
    for first in stride(from: bytes.lowerBound, to: bytes.upperBound, by: Self.loanBytes) {
      let loan = first..<min(bytes.upperBound, first + Self.loanBytes)
      try source.withBytes(in: loan, scratch: &scratch) { stored in
        hasher.add(stored)
        squares.add(
          stored, as: matrix.dtype, first: block.elements.lowerBound + (first - bytes.lowerBound) / width,
          to: &result)
      }
    }
    source.release(bytes)
    result.hash = hasher.end()
    return result
  }
}

/// Sums of squares of stored weights.
private struct SquareSums: ~Copyable {
  /// Weights squared at a time; part of the definition of a norm's last bits.
  static let chunk = 2048

  var decoded = [Double](repeating: 0, count: chunk)

  /// Adds stored weights, the first of which is the matrix's `first`, a chunk at a time.
  mutating func add(
    _ stored: UnsafeRawBufferPointer, as dtype: DType, first: Int, to result: inout BlockResult
  ) {
    let width = dtype.bits / 8
    for offset in stride(from: 0, to: stored.count, by: Self.chunk * width) {
      let piece = UnsafeRawBufferPointer(rebasing: stored[offset..<min(stored.count, offset + Self.chunk * width)])
      let sum = sumOfSquares(of: piece, as: dtype)
      // A sum that is not finite is the cheap sign; only then is the weight looked for.
      if !sum.isFinite, result.firstNonFinite < 0, let at = firstNonFinite(in: piece, as: dtype) {
        result.firstNonFinite = first + offset / width + at
      }
      result.sumOfSquares += sum
    }
  }

  /// Of at most ``chunk`` weights. Types without a loop of their own are decoded first; the lanes are the same.
  private mutating func sumOfSquares(of piece: UnsafeRawBufferPointer, as dtype: DType) -> Double {
    let count = piece.count / (dtype.bits / 8)
    switch dtype {
    case .bf16: return frog_sum_of_squares_bf16(piece.baseAddress, count)
    case .f32: return frog_sum_of_squares_f32(piece.baseAddress, count)
    case .f64: return frog_sum_of_squares_f64(piece.baseAddress, count)
    default: return decode(piece, as: dtype) { frog_sum_of_squares_f64($0.baseAddress, $0.count) }
    }
  }

  private mutating func firstNonFinite(in piece: UnsafeRawBufferPointer, as dtype: DType) -> Int? {
    decode(piece, as: dtype) { $0.firstIndex { !$0.isFinite } }
  }

  private mutating func decode<R>(
    _ piece: UnsafeRawBufferPointer, as dtype: DType, _ body: (UnsafeMutableBufferPointer<Double>) -> R
  ) -> R {
    let count = piece.count / (dtype.bits / 8)
    return decoded.withUnsafeMutableBufferPointer { buffer in
      let values = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      Double.decode(piece, as: dtype, into: values)
      return body(values)
    }
  }
}
