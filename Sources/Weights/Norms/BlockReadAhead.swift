import ShardIO

/// Keeps the disk busy with the next blocks of the norms pass while one is measured.
///
/// What the kernel reads ahead is read by the thread that measures, whenever it gets there: on a fast disk it then spends as
/// long on filling the page cache as the disk takes. Here another thread does that.
struct BlockReadAhead: ~Copyable {
  /// Blocks of up to 32 MiB that are read ahead: more than a disk needs to be busy, little against a node's memory.
  static let distance = 4
  /// Smaller blocks are left to the kernel.
  static let worthwhile = 1 << 20

  private let prefetcher = Prefetcher()
  /// Of each block by position, until it has been waited for.
  private var pending: [Prefetcher.Pending?] = []

  /// Returns when the block at `position`, asked for in ascending order, has been read.
  ///
  /// - Parameter bytes: of the block at a position below `count`: its file, and where it lies there; nil if it cannot be opened, which
  ///   whoever measures it will find out.
  mutating func wait(for position: Int, count: Int, _ bytes: (Int) -> (source: any ByteSource, range: Range<Int>)?) {
    while pending.count < min(count, position + 1 + Self.distance) {
      let next = bytes(pending.count).flatMap { $0.range.count < Self.worthwhile ? nil : $0 }
      pending.append(next.map { prefetcher.enqueue($0.source, $0.range) })
    }
    pending[position]?.wait()
    pending[position] = nil
  }
}
