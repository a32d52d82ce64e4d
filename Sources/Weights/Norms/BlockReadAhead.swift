import ShardIO

/// Reads the next blocks of the norms pass on another thread while one block is measured.
///
/// The kernel reads ahead on the thread that measures, whenever it gets there. On a fast disk that thread then spends as long on filling
/// the page cache as the disk takes.
struct BlockReadAhead: ~Copyable {
  /// The number of blocks, of up to 32 MiB each, that are read ahead. That keeps a disk busy, and is little against a node's memory.
  static let distance = 4
  /// The size in bytes from which a block is read ahead. Smaller ones are left to the kernel.
  static let worthwhile = 1 << 20

  private let prefetcher = Prefetcher()
  /// The reads under way by the position of their block; nil where none was needed or it has been waited for.
  private var pending: [Prefetcher.Pending?] = []

  /// Returns when the block at `position` has been read ahead, and asks for the blocks after it.
  ///
  /// - Parameters:
  ///   - position: is asked for in ascending order from 0.
  ///   - count: the number of blocks.
  ///   - bytes: returns the file of the block at a position below `count`, and where the block lies in it; nil if the file cannot be
  ///     opened, which whoever measures the block will find out.
  mutating func wait(for position: Int, count: Int, _ bytes: (Int) -> (source: any ByteSource, range: Range<Int>)?) {
    while pending.count < min(count, position + 1 + Self.distance) {
      let next = bytes(pending.count).flatMap { $0.range.count < Self.worthwhile ? nil : $0 }
      pending.append(next.map { prefetcher.enqueue($0.source, $0.range) })
    }
    pending[position]?.wait()
    pending[position] = nil
  }
}
