import MPI
import RunCore
import ShardIO
import SystemPackage

/// Copies the bytes of a checkpoint's shards that a base has in common with it.
struct BaseCopy {
  /// The bytes that are copied at a time, which a rank does alone.
  private static let pieceBytes = 1 << 26

  /// A range of a shard, and where it goes.
  private struct Piece {
    let source: FilePath
    let file: Int
    let range: Range<Int>
  }

  private let pieces: [Piece]
  private let files: PlacedFiles

  /// - Parameters:
  ///   - copies: each shard, the position of its copy among the files, and the ranges that are not copied, ascending.
  init(_ copies: [(shard: BaseFiles.File, file: Int, changed: [Range<Int>])], into files: PlacedFiles) {
    self.files = files
    pieces = copies.flatMap { copy in
      var kept: [Range<Int>] = []
      var start = 0
      for range in copy.changed {
        kept.append(start..<range.lowerBound)
        start = range.upperBound
      }
      kept.append(start..<copy.shard.size)
      return kept.flatMap { range in
        stride(from: range.lowerBound, to: range.upperBound, by: Self.pieceBytes).map {
          Piece(
            source: FilePath(copy.shard.path), file: copy.file, range: $0..<min(range.upperBound, $0 + Self.pieceBytes))
        }
      }
    }
  }

  /// Copies all pieces; every rank takes every size-th. An unfinished run copies them again.
  ///
  /// Collective: every rank calls it.
  func run(in context: RunContext, stage: String) throws {
    let (world, all) = (context.world, pieces.count)
    context.sharesEqually()
    try world.agreeing {
      var scratch = ScratchBytes()
      var touched: Set<Int> = []
      for (number, piece) in pieces.enumerated() where number % world.size == world.rank {
        try context.watch.check()
        let source = try SourceKind.pread.open(piece.source)
        guard piece.range.upperBound <= source.size else {
          throw RunFailure(.data, "\(shown(piece.source)) became shorter during the run: start anew with --overwrite")
        }
        let file = try DurableFile(openingForUpdate: files.folder.appending(files.files[piece.file].name))
        for start in stride(from: piece.range.lowerBound, to: piece.range.upperBound, by: 1 << 20) {
          let part = start..<min(piece.range.upperBound, start + 1 << 20)
          try source.withBytes(in: part, scratch: &scratch) { try file.write($0, at: start) }
        }
        touched.insert(piece.file)
        context.advanced(stage, to: Double(number + 1) / Double(all))
      }
      for number in touched.sorted() {
        try DurableFile(openingForUpdate: files.folder.appending(files.files[number].name)).synchronize()
      }
    }
  }
}
