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

  /// Where it lies in its shard; of fused parts from the first row to the last, with what lies between.
  func bytes(of matrix: Catalog.Matrix) -> Range<Int> {
    let width = matrix.dtype.bits / 8
    let slice = matrix.slice
    guard matrix.part != nil else {
      let start = matrix.offset + elements.lowerBound * width
      return start..<start + elements.count * width
    }
    let rows = [elements.lowerBound, elements.upperBound - 1].map { slice.rows.stored($0 / matrix.columns) }
    let rowBytes = slice.storedColumns * width
    return matrix.offset + rows[0] * rowBytes..<matrix.offset + (rows[1] + 1) * rowBytes
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
  /// - Parameter progress: called with the share of this rank's blocks that are done; may end it by a throw.
  /// - Throws: ``RunFailure`` naming the first weight, in order of name and index, that is NaN or infinite.
  /// - Complexity: one read of all matrices, divided by the ranks; 32 bytes per 2²² weights are exchanged.
  static func measure(
    _ catalog: Catalog, shards: OpenShards, world: Communicator, progress: (Double) throws -> Void
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
          return (try? shards.source(matrix.shard)).map { ($0, own[position].bytes(of: matrix)) }
        }
        words += try measure(block, of: catalog, shards: shards).encoded
        try progress(Double(done + 1) / Double(share.count))
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
  /// Bytes lent at a time. Copied ones, and those of a fresh mapping, are still in the second-level cache when they are
  /// looked at for the second time.
  static let loanBytes = 1 << 18

  private var scratch = ScratchBytes()
  private var gathered = ScratchBytes()
  private let hasher = BlockHasher()
  private var squares = SquareSums()
  /// The matrix of the last block: most of the time that of the next.
  private var open: (matrix: Int, view: TensorView)?

  /// One pass over the bytes of a block, which are given back afterwards.
  mutating func callAsFunction(_ block: NormBlock, of catalog: Catalog, shards: OpenShards) throws -> BlockResult {
    let view = try self.view(block.matrix, of: catalog, shards: shards)
    let loan = Self.loanBytes / (view.dtype.bits / 8)
    var result = BlockResult()
    hasher.begin()
    for first in stride(from: block.elements.lowerBound, to: block.elements.upperBound, by: loan) {
      let part = first..<min(block.elements.upperBound, first + loan)
      try view.withStoredBytes(of: part, scratch: &scratch, gathered: &gathered) { stored in
        hasher.add(stored)
        squares.add(stored, of: view, first: first, to: &result)
      }
    }
    view.source.release(block.bytes(of: catalog.matrices[block.matrix]))
    result.hash = hasher.end()
    if block.elements.lowerBound == 0, let scales = view.scales { result.hash = hash(result.hash, with: scales) }
    return result
  }

  private mutating func view(_ matrix: Int, of catalog: Catalog, shards: OpenShards) throws -> TensorView {
    if let open, open.matrix == matrix { return open.view }
    let view = try shards.view(of: catalog.matrices[matrix])
    open = (matrix, view)
    return view
  }

  /// Weights are what codes and scales make together, so a fingerprint covers both.
  private func hash(_ codes: frog_hash128, with scales: BlockScales) -> frog_hash128 {
    hasher.begin()
    for word in [codes.low, codes.high] { withUnsafeBytes(of: word.littleEndian) { hasher.add($0) } }
    for value in scales.values { withUnsafeBytes(of: value.bitPattern.littleEndian) { hasher.add($0) } }
    return hasher.end()
  }
}

/// Sums of squares of weights.
private struct SquareSums: ~Copyable {
  /// Weights squared at a time; part of the definition of a norm's last bits.
  static let chunk = 2048

  private var decoded = [Double](repeating: 0, count: chunk)

  /// Adds weights as stored, the first of which is the matrix's `first`, a chunk at a time.
  mutating func add(_ stored: UnsafeRawBufferPointer, of view: TensorView, first: Int, to result: inout BlockResult) {
    let width = view.dtype.bits / 8
    for offset in stride(from: 0, to: stored.count, by: Self.chunk * width) {
      let piece = UnsafeRawBufferPointer(rebasing: stored[offset..<min(stored.count, offset + Self.chunk * width)])
      let position = first + offset / width
      var sum = sumOfSquares(of: piece, at: position, of: view)
      // A sum that is not finite is the cheap sign; only then is the weight looked for.
      if !sum.isFinite, result.firstNonFinite < 0,
        let at = decode(piece, at: position, of: view, { $0.firstIndex { !$0.isFinite } })
      {
        result.firstNonFinite = position + at
      }
      // Weights whose squares all vanish must not pass for zeros.
      if sum == 0, view.dtype == .f64, decode(piece, at: position, of: view, { $0.contains { $0 != 0 } }) {
        sum = .leastNonzeroMagnitude
      }
      result.sumOfSquares += sum
    }
  }

  /// Of at most ``chunk`` weights. Types without a loop of their own are decoded first; the lanes are the same.
  private mutating func sumOfSquares(of piece: UnsafeRawBufferPointer, at first: Int, of view: TensorView) -> Double {
    let count = piece.count / (view.dtype.bits / 8)
    switch view.dtype {
    case .bf16 where view.scales == nil: return frog_sum_of_squares_bf16(piece.baseAddress, count)
    case .f32 where view.scales == nil: return frog_sum_of_squares_f32(piece.baseAddress, count)
    case .f64: return frog_sum_of_squares_f64(piece.baseAddress, count)
    default: return decode(piece, at: first, of: view) { frog_sum_of_squares_f64($0.baseAddress, $0.count) }
    }
  }

  private mutating func decode<R>(
    _ piece: UnsafeRawBufferPointer, at first: Int, of view: TensorView,
    _ body: (UnsafeMutableBufferPointer<Double>) -> R
  ) -> R {
    let count = piece.count / (view.dtype.bits / 8)
    return decoded.withUnsafeMutableBufferPointer { buffer in
      let values = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      view.decode(stored: piece, first: first, into: values)
      return body(values)
    }
  }
}
