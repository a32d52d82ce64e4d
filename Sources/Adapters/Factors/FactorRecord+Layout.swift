import DistSVD
import Execution
import FactorCache
import RunCore
import ShardIO
import Weights

extension FactorRecord {
  /// Describes finished factors.
  init(
    _ catalog: Catalog, _ layout: FactorLayout, _ rows: [FactoredMatrix], norms: Norms, version: String,
    parameters: RunParameters<FactorChoice>, files: [String: RecordedFile]
  ) {
    let matrices = zip(catalog.matrices, rows).map { matrix, row in
      let place = layout.places[row.ordinal]
      return Matrix(
        name: matrix.name, shape: [matrix.rows, matrix.columns], dtype: matrix.dtype.rawValue,
        tensor: catalog.tensors[matrix.tensor].name, slice: catalog.recordedSlice(of: matrix),
        file: layout.files[place.file].name, rank: place.count,
        solver: (row.members > 1 ? "team of \(row.members)" : "local") + (row.method == .qr ? ", QR" : ""),
        norm: norms.squared[row.ordinal].squareRoot(), residual: row.residual, leftError: row.leftError,
        rightError: row.rightError)
    }
    self.init(
      version: version, parameters: parameters, checkpoint: CheckpointSource(catalog, norms),
      coverage: catalog.coverage, matrices: matrices, files: files)
  }
}
