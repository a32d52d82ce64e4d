import Execution
import FoundationEssentials
import RunCore
import ShardIO
import Weights

/// `export.json`: what was asked, of which checkpoint, and what was made.
///
/// Equal inputs and parameters give equal bytes.
package struct ExportRecord: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-export"
  /// The version of the format. It is raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 1

  /// The name of the format: always ``formatName``.
  package var format = Self.formatName
  /// The version of the format that the document has: ``currentFormatVersion`` of its writer.
  package var formatVersion = Self.currentFormatVersion
  /// The version of the program that wrote the document.
  package var version: String
  /// Every parameter that shapes the result.
  package var parameters: RunParameters<ExportChoice>
  /// The checkpoint that the adapters are for.
  package var checkpoint: CheckpointSource
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package var coverage: Coverage
  /// The matrices that have adapters, by ordinal.
  package var matrices: [Matrix]
  /// All files but this one and `run.json`, by their paths in the folder.
  package var files: [String: RecordedFile]

  /// A weight matrix that has adapters.
  package struct Matrix: Codable, Sendable {
    /// The name of the matrix in the checkpoint.
    package var name: String
    /// The path of its module in the model that transformers loads.
    package var module: String
    /// The numbers of rows and columns, m and n.
    package var shape: [Int]
    /// The type in which the checkpoint stores the weights.
    package var dtype: String
    /// Whether the weights are stored as inputs × outputs.
    package var isTransposed: Bool
    /// The number of processes that decomposed it together.
    package var members: Int
    /// What each method has of it, by name.
    package var methods: [String: Method]

    enum CodingKeys: String, CodingKey {
      case name, module, shape, dtype, members, methods
      case isTransposed = "transposed"
    }
  }

  /// What a method has of a matrix.
  package struct Method: Codable, Sendable {
    /// The number of triplets; nil with SMT.
    @ExplicitNull package var rank: Int?
    /// The share of ‖W‖²_F that the triplets have; nil with SMT.
    @ExplicitNull package var energy: Double?
    /// The rounding error of the base, ‖·‖_F relative to ‖W‖_F; nil if the base is not changed.
    @ExplicitNull package var baseError: Double?
    /// The number of blocks that SMT trains; nil with other methods.
    @ExplicitNull package var blocks: Int?

    init(rank: Int? = nil, energy: Double? = nil, baseError: Double? = nil, blocks: Int? = nil) {
      (self.rank, self.energy, self.baseError, self.blocks) = (rank, energy, baseError, blocks)
    }

    enum CodingKeys: String, CodingKey {
      case rank, energy, blocks
      case baseError = "base_error"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, coverage, matrices, files
    case formatVersion = "format_version"
  }

  /// Describes a finished export.
  init(
    _ catalog: Catalog, _ plan: ExportPlan, _ rows: [ExportedMatrix], _ blocks: ChosenBlocks?, norms: Norms,
    version: String,
    parameters: RunParameters<ExportChoice>, files: [String: RecordedFile]
  ) {
    self.version = version
    self.parameters = parameters
    checkpoint = CheckpointSource(catalog, norms)
    coverage = catalog.coverage
    self.files = files
    matrices = zip(plan.targets, rows).enumerated().map { number, pair in
      let (target, row) = pair
      var methods = row.methods.mapValues { Method(rank: $0.rank, energy: $0.energy, baseError: $0.baseError) }
      if let blocks { methods[ExportMethod.smt.rawValue] = Method(blocks: blocks.blocks[number].count) }
      return Matrix(
        name: target.tensor, module: target.module, shape: [target.rows, target.columns],
        dtype: catalog.matrices[target.ordinal].dtype.rawValue, isTransposed: target.isTransposed, members: row.members,
        methods: methods)
    }
  }
}
