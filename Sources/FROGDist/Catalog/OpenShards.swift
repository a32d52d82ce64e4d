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

  /// - Throws: ``RunFailure`` if this rank's file is not there, or differs in size from the one rank 0 read.
  func source(of matrix: Catalog.Matrix) throws -> any ByteSource {
    if let open = sources[matrix.shard] { return open }
    let shard = catalog.shards[matrix.shard]
    let path = FilePath(shard.path)
    let source: any ByteSource
    do throws(SourceError) {
      source = try kind.open(path)
    } catch {
      // Rank 0 has read it a moment ago.
      guard error.kind == .noInput else { throw error }
      throw RunFailure(.io, "\(error): rank 0 has read it; \(Self.rule)")
    }
    guard source.size == shard.size else {
      throw RunFailure(
        .io,
        "\(shown(path)): rank 0 read a file of \(shard.size) bytes, another rank finds \(source.size): \(Self.rule)")
    }
    sources[matrix.shard] = source
    return source
  }

  private static let rule = "every node must see the same checkpoint, and it must not change during a run"

  /// The matrix, ready to be read in panels.
  func panels(of matrix: Catalog.Matrix) throws -> MatrixPanels {
    MatrixPanels(try view(of: matrix))
  }

  private func view(of matrix: Catalog.Matrix) throws -> TensorView {
    return try TensorView(
      source: source(of: matrix),
      tensor: TensorInfo(
        name: matrix.name, dtype: matrix.dtype, shape: [matrix.rows, matrix.columns],
        byteRange: matrix.offset..<matrix.offset + matrix.byteCount))
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
