import DistSVD
import ShardIO
import SystemPackage

/// Where the border between kept and frozen weights is drawn.
public enum SelectionMode: String, Sendable, CaseIterable {
  /// One threshold for the whole model: the K largest scores of all.
  case global
  /// A budget for each matrix in proportion to its Frobenius norm.
  case matrix
  /// The same share of every matrix.
  case uniform
}

/// Whose names of parameters are written beside the masks, where they differ from the checkpoint's.
public enum ParameterNames: String, Sendable, CaseIterable {
  /// Those that transformers 5 gives to what it loads.
  case transformers5
}

/// What a run of `mask` is asked to do.
public struct MaskOptions: Sendable {
  /// A folder of shards or one file.
  public var checkpoint: FilePath
  /// Where the masks go.
  public var output: OutputOptions
  /// How many weights are kept.
  public var budget: Budget
  /// How they are divided among matrices.
  public var select: SelectionMode
  /// How the quality of a matrix shapes its share.
  public var quality = QualityOptions()
  /// Whether the spectra of matrices are measured, as `analyze` does.
  public var analyze = false
  /// What is scored and how it is ranked.
  public var scoring: ScoringOptions
  /// Of the masks.
  public var format: MaskFormat
  /// Which tensors count.
  public var tensors: CatalogOptions
  /// Names to be written beside the masks; nil for none.
  public var names: ParameterNames?
  /// How shards are read.
  public var io: SourceKind
  /// BLAS threads of each rank; nil for the cores there are, divided among the ranks of a node.
  public var threads: Int?
  /// Bytes that each rank may hold; nil for a share of what its node has available.
  public var memory: Int?

  /// Everything a run needs to know.
  public init(
    checkpoint: FilePath, output: OutputOptions, budget: Budget, select: SelectionMode = .global,
    scoring: ScoringOptions = ScoringOptions(), format: MaskFormat = .auto, tensors: CatalogOptions = CatalogOptions(),
    names: ParameterNames? = nil,
    io: SourceKind = .auto, threads: Int? = nil, memory: Int? = nil
  ) {
    self.checkpoint = checkpoint
    self.output = output
    self.budget = budget
    self.select = select
    self.scoring = scoring
    self.format = format
    self.tensors = tensors
    self.names = names
    self.io = io
    self.threads = threads
    self.memory = memory
  }
}
