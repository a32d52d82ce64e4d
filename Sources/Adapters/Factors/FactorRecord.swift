import DistSVD
import Execution
import FoundationEssentials
import RunCore
import ShardIO
import SystemPackage
import Weights

/// `factors.json`: what was asked, of which checkpoint, and how good the factors are.
///
/// Equal inputs and parameters give equal bytes.
package struct FactorRecord: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-factors"
  /// The version of the format. It is raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 1
  /// The value of ``signs``, which names the rule of ``DistSVD/ThinSVD``.
  static let signRule = "largest-of-v-positive"

  /// The name of the format: always ``formatName``.
  package var format = Self.formatName
  /// The version of the format that the document has: ``currentFormatVersion`` of its writer.
  package var formatVersion = Self.currentFormatVersion
  /// The version of the program that wrote the document.
  package var version: String
  /// Every parameter that shapes the result.
  package var parameters: RunParameters<FactorChoice>
  /// The checkpoint that was decomposed.
  package var checkpoint: CheckpointSource
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package var coverage: Coverage
  /// The rule that gives each pair of vectors its sign: the component of largest magnitude of v_k is positive.
  package var signs = Self.signRule
  /// The weight matrices, by ordinal.
  package var matrices: [Matrix]
  /// The factor files, by name.
  package var files: [String: RecordedFile]

  /// The factors of one weight matrix.
  package struct Matrix: Codable, Sendable {
    /// The name of the matrix in the checkpoint.
    package var name: String
    /// The numbers of rows and columns, m and n.
    package var shape: [Int]
    /// The type in which the checkpoint stores the weights.
    package var dtype: String
    /// The tensor of the checkpoint that holds it.
    package var tensor: String
    /// The part of that tensor that the matrix is; nil if it is all of it.
    @ExplicitNull package var slice: RecordedSlice?
    /// The name of the factor file.
    package var file: String
    /// The number of triplets, r.
    package var rank: Int
    /// How the matrix was decomposed: `local` or `team of 4`, followed by `, QR` where the Gram matrix did not resolve all values.
    package var solver: String
    /// The Frobenius norm ‖W‖_F.
    package var norm: Double
    /// ‖W − U·Σ·Vᵀ‖_F ÷ ‖W‖_F of the factors as stored; 0 for a matrix of zeros.
    package var residual: Double
    /// ‖UᵀU − I‖_F of U as stored.
    package var leftError: Double
    /// ‖VᵀV − I‖_F of V as stored.
    package var rightError: Double

    enum CodingKeys: String, CodingKey {
      case name, shape, dtype, tensor, slice, file, rank, solver, norm, residual
      case leftError = "u_error"
      case rightError = "v_error"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, coverage, signs, matrices, files
    case formatVersion = "format_version"
  }

  /// Describes finished factors.
  init(
    _ catalog: Catalog, _ layout: FactorLayout, _ rows: [FactoredMatrix], norms: Norms, version: String,
    parameters: RunParameters<FactorChoice>, files: [String: RecordedFile]
  ) {
    self.version = version
    self.parameters = parameters
    checkpoint = CheckpointSource(catalog, norms)
    coverage = catalog.coverage
    self.files = files
    matrices = zip(catalog.matrices, rows).map { matrix, row in
      let place = layout.places[row.ordinal]
      return Matrix(
        name: matrix.name, shape: [matrix.rows, matrix.columns], dtype: matrix.dtype.rawValue,
        tensor: catalog.tensors[matrix.tensor].name, slice: catalog.recordedSlice(of: matrix),
        file: layout.files[place.file].name, rank: place.count,
        solver: (row.members > 1 ? "team of \(row.members)" : "local") + (row.method == .qr ? ", QR" : ""),
        norm: norms.squared[row.ordinal].squareRoot(), residual: row.residual, leftError: row.leftError,
        rightError: row.rightError)
    }
  }
}
