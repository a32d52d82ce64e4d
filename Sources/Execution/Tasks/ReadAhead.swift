import DistSVD
import Planning
import ShardIO
import Weights

/// Brings the next matrix of a rank into the page cache while the rank works on the one before.
struct ReadAhead: ~Copyable {
  /// The most bytes that are read ahead for one matrix.
  ///
  /// The kernel reads the rest ahead once the matrix has begun, and a node of many ranks keeps its memory.
  static let limit = 256 << 20
  /// The longest gap that is read over, since that costs no more than another read; in bytes.
  static let smallGap = 32 << 10

  private let inputs: [MatrixInput]
  /// The number of this rank in the world.
  private let rank: Int
  private let prefetcher = Prefetcher()

  /// - Parameters:
  ///   - inputs: the checkpoints, whose matrices of one ordinal are read together.
  ///   - rank: the number of this rank in the world.
  init(_ inputs: [MatrixInput], rank: Int) {
    self.inputs = inputs
    self.rank = rank
  }

  /// Starts to read this rank's shares of matrices, one after the other, in place of what an earlier call asked for. Returns at once.
  ///
  /// Reading ahead is only advice. A shard that cannot be opened is skipped, and whoever needs its bytes reports the error.
  ///
  /// - Parameter tasks: the task that begins now, most of which an earlier call may have read, and the tasks that follow.
  func begin(_ tasks: some Sequence<Schedule.Task>) {
    prefetcher.start(
      tasks.flatMap { task in
        inputs.compactMap { input in
          let matrix = input.catalog.matrices[task.ordinal]
          return (try? input.shards.source(matrix.shard)).map {
            ($0, Self.ranges(of: matrix, member: rank - task.ranks.lowerBound, of: task.ranks.count))
          }
        }
      })
  }

  /// The ranges of bytes of its shard that a member reads: its share of the longer side, up to `limit` bytes.
  ///
  /// Of a wide matrix, a member reads a part of every row. If little lies between the parts, it reads all bytes.
  static func ranges(
    of matrix: Catalog.Matrix, member: Int, of members: Int, limit: Int = limit
  ) -> [Range<Int>] {
    let shape = PanelShape(rows: matrix.rows, columns: matrix.columns)
    let share = shape.share(of: member, among: members)
    let (start, rowBytes) = (matrix.offset, matrix.byteCount / max(1, matrix.rows))
    if share.isEmpty { return [] }
    // A part of a fused tensor lies among the other parts, so its share is not computed.
    guard matrix.part == nil else { return [start..<start + min(limit, matrix.byteCount)] }
    if shape.isTall {
      let first = start + share.lowerBound * rowBytes
      return [first..<first + min(limit, share.count * rowBytes)]
    }
    let elementBytes = rowBytes / matrix.columns
    let part = share.count * elementBytes
    guard rowBytes - part > smallGap else { return [start..<start + min(limit, matrix.byteCount)] }
    let first = start + share.lowerBound * elementBytes
    return (0..<min(matrix.rows, max(1, limit / max(1, part)))).map { row in
      first + row * rowBytes..<first + row * rowBytes + part
    }
  }

  /// Gives back the memory of a matrix that this rank is done with.
  func end(_ ordinal: Int) {
    for input in inputs {
      let matrix = input.catalog.matrices[ordinal]
      guard let source = try? input.shards.source(matrix.shard) else { continue }
      source.release(matrix.offset..<matrix.offset + matrix.byteCount)
    }
  }
}
