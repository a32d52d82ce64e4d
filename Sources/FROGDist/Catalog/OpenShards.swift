import DistSVD
import ShardIO
import SystemPackage

/// The shards this rank has opened, each once and only when first needed.
final class OpenShards {
  private let catalog: Catalog
  private let kind: SourceKind
  private var sources: [Int: any ByteSource] = [:]

  init(_ catalog: Catalog, io kind: SourceKind) {
    self.catalog = catalog
    self.kind = kind
  }

  /// A shard, by its position in the catalog.
  ///
  /// - Throws: ``RunFailure`` if this rank's file differs in size from the one rank 0 read.
  private func source(_ number: Int) throws -> any ByteSource {
    if let open = sources[number] { return open }
    let shard = catalog.shards[number]
    let source = try kind.open(FilePath(shard.path))
    guard source.size == shard.size else {
      throw RunFailure(
        .data,
        "\(shown(FilePath(shard.path))): rank 0 read a file of \(shard.size) bytes, another rank finds \(source.size): "
          + "every node must see the same checkpoint, and it must not change during a run")
    }
    sources[number] = source
    return source
  }

  /// The matrix, ready to be read in panels.
  func panels(of matrix: Catalog.Matrix) throws -> MatrixPanels {
    MatrixPanels(try view(of: matrix))
  }

  /// The matrix in its file, with the scales of its weights if it has some.
  func view(of matrix: Catalog.Matrix) throws -> TensorView {
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

/// Lends a stored matrix to the solvers.
final class MatrixPanels: PanelSource {
  private let view: TensorView
  private var scratch = ScratchBytes()

  init(_ view: TensorView) { self.view = view }

  var rows: Int { view.rows }
  var columns: Int { view.columns }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
  }
}
