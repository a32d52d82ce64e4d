import Planning
import Weights
import DistSVD
import ShardIO

/// Brings the next matrix of a rank into the page cache while it works on the one before.
struct ReadAhead: ~Copyable {
  /// The most that is read ahead for one matrix: what follows is read ahead by the kernel once the matrix is begun, and a
  /// node of many ranks keeps its memory.
  static let limit = 256 << 20
  /// Reading on over a gap of this size costs no more than another read.
  static let smallGap = 32 << 10

  private let inputs: [MatrixInput]
  /// This rank's place in the world.
  private let rank: Int
  private let prefetcher = Prefetcher()

  /// - Parameters:
  ///   - inputs: checkpoints that are read by the same ordinals.
  ///   - rank: this rank's place in the world.
  init(_ inputs: [MatrixInput], member rank: Int) {
    self.inputs = inputs
    self.rank = rank
  }

  /// Starts reading this rank's shares of matrices, one after the other, instead of what an earlier call asked for. Returns at once.
  ///
  /// Advice: a shard that cannot be opened is left for the one who needs it to complain about.
  ///
  /// - Parameter tasks: the one that is worked on now, of which little is left to be read by then, and what follows.
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

  /// The bytes of its shard that a member reads: its share of the longer side, up to ``limit`` bytes.
  ///
  /// Of a wide matrix it reads a part of every row; where little lies between the parts, all of it.
  static func ranges(
    of matrix: Catalog.Matrix, member: Int, of members: Int, limit: Int = limit
  ) -> [Range<Int>] {
    let shape = PanelShape(rows: matrix.rows, columns: matrix.columns)
    let share = shape.share(of: member, among: members)
    let (start, rowBytes) = (matrix.offset, matrix.byteCount / max(1, matrix.rows))
    if share.isEmpty { return [] }
    // What is fused lies among the other parts.
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

  /// Gives back the memory of a matrix that is done with.
  func end(_ ordinal: Int) {
    for input in inputs {
      let matrix = input.catalog.matrices[ordinal]
      guard let source = try? input.shards.source(matrix.shard) else { continue }
      source.release(matrix.offset..<matrix.offset + matrix.byteCount)
    }
  }
}
