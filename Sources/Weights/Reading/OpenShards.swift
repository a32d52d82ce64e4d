import RunCore
import ShardIO
import SystemPackage

/// The shards that this rank has opened, each once and only when it is first needed.
package final class OpenShards {
  private let catalog: Catalog
  private let kind: SourceKind
  private var sources: [Int: any ByteSource] = [:]

  /// Makes an empty list of open shards.
  ///
  /// - Parameters:
  ///   - catalog: the catalog that names the shards.
  ///   - kind: the way in which they are read.
  package init(_ catalog: Catalog, io kind: SourceKind) {
    self.catalog = catalog
    self.kind = kind
  }

  /// The shard at a position in the catalog, which is opened if need be.
  ///
  /// - Throws: ``RunFailure`` if this rank's file does not exist, or differs in size from the one that rank 0 has read.
  package func source(_ number: Int) throws -> any ByteSource {
    if let open = sources[number] { return open }
    let shard = catalog.shards[number]
    let path = FilePath(shard.path)
    let source: any ByteSource
    do throws(SourceError) {
      source = try kind.open(path)
    } catch {
      // Rank 0 has read the file a moment ago, so the path is right and the file system is at fault.
      guard error.kind == .noInput else { throw error }
      throw RunFailure(.io, "\(error): rank 0 has read it; \(Self.rule)")
    }
    guard source.size == shard.size else {
      throw RunFailure(
        .io,
        "\(shown(path)): rank 0 read a file of \(shard.size) bytes, another rank finds \(source.size): \(Self.rule)")
    }
    sources[number] = source
    return source
  }

  private static let rule = "every node must see the same checkpoint, and it must not change during a run"

  /// A view of the matrix in its file, with the scales of its weights if it has some.
  ///
  /// - Throws: what ``source(_:)`` throws; `CheckpointError` if the scales are no valid numbers.
  package func view(of matrix: Catalog.Matrix) throws -> TensorView {
    let tensor = catalog.tensors[matrix.tensor]
    return try TensorView(
      source: source(tensor.shard),
      tensor: TensorInfo(
        name: tensor.name, dtype: tensor.dtype, shape: tensor.shape,
        byteRange: tensor.offset..<tensor.offset + tensor.byteCount),
      slice: matrix.slice, scales: tensor.content.scale.map { try scales($0, of: matrix) })
  }

  private func scales(_ scale: WeightScale, of matrix: Catalog.Matrix) throws -> BlockScales {
    try BlockScales(
      source: source(scale.shard),
      tensor: TensorInfo(
        name: scale.name, dtype: scale.dtype, shape: scale.shape,
        byteRange: scale.offset..<scale.offset + scale.byteCount),
      slab: scale.isStacked ? matrix.slice.slab : 0, blockRows: scale.blockRows, blockColumns: scale.blockColumns,
      storedRows: matrix.slice.storedRows, storedColumns: matrix.slice.storedColumns)
  }
}
