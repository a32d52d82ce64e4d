import Execution
import FoundationEssentials
import RunCore
import ShardIO
import SystemPackage
import Weights

/// What a run of `mask` has made: the masks with what they have in common. Of a run of several masks it is the document `masks.json`.
///
/// Equal inputs and options give equal bytes.
package struct MaskSet: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-masks"
  /// The version of the format. It is raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 1

  package private(set) var format = Self.formatName
  package private(set) var formatVersion = Self.currentFormatVersion
  /// The version of the program that wrote the document.
  package var version: String
  /// The options of the run, by the words that tell it from others; lists for options that differ between the masks.
  package var options: OptionWords
  /// The number of BLAS threads of each rank.
  package var threads: Int
  /// The checkpoint that the masks were made from.
  package var checkpoint: CheckpointSource
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package var coverage: Coverage
  /// The masks, in the order of the options.
  package var masks: [Mask]

  /// One mask.
  package struct Mask: Codable, Sendable, Equatable {
    /// The name of its folder; nil if it is the only mask, and lies in the output folder itself.
    @ExplicitNull package var folder: String?
    /// How the kept weights were divided among matrices, as a word of ``SelectionMode``.
    package var select: String
    /// The number of kept weights.
    package var kept: Int
    /// The smallest kept value, if one threshold holds for the whole model.
    @ExplicitNull package var threshold: Double?
    /// How unevenly the kept weights lie; nil if there are none.
    @ExplicitNull package var concentration: Concentration?
    /// The number of matrices that keep less than a tenth of a uniform share.
    package var starved: Int
    /// The rank of approximate scores; nil for others.
    @ExplicitNull package var rank: Int?
    /// How good an approximate run is on a few matrices; nil for an exact run.
    @ExplicitNull package var audit: AuditReport?
    /// The mask's `frog.json`, which vouches for its files; nil if that lies in the output folder itself.
    @ExplicitNull package var record: RecordedFile?

    /// What a mask's record says of it.
    init(_ record: MaskRecord, in folder: String? = nil, text: RecordedFile? = nil) {
      self.folder = folder
      select = record.parameters.select
      kept = record.kept
      threshold = record.threshold
      concentration = record.concentration
      starved = record.starved
      rank = record.parameters.rank
      audit = record.audit
      self.record = text
    }

    enum CodingKeys: String, CodingKey {
      case folder, select, kept, threshold, concentration, starved, rank, audit
      case record = "frog_json"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, options, threads, checkpoint, coverage, masks
    case formatVersion = "format_version"
  }

  init(
    version: String, options: OptionWords, threads: Int, checkpoint: CheckpointSource, coverage: Coverage, masks: [Mask]
  ) {
    self.version = version
    self.options = options
    self.threads = threads
    self.checkpoint = checkpoint
    self.coverage = coverage
    self.masks = masks
  }

  /// The set of a run of one mask, as its record tells it.
  init(_ record: MaskRecord) {
    self.init(
      version: record.version, options: record.parameters.words, threads: record.parameters.tensors.threads,
      checkpoint: record.checkpoint, coverage: record.coverage, masks: [Mask(record)])
  }
}

extension MaskSet {
  /// The name of the document.
  package static let fileName = "masks.json"

  /// Whether the folder at `path` holds the finished masks of a run of several.
  package static func isOne(_ path: FilePath) -> Bool {
    (try? Folder.exists(path.appending(fileName))) ?? false
  }

  /// Reads the set of masks in the folder `path`. Nothing in it is trusted.
  ///
  /// - Throws: `SourceError` if it cannot be read; ``RunFailure`` of kind `.data` if it is not such a set, or of another version.
  package init(in path: FilePath) throws {
    try self.init(text: Document.contents(of: path.appending(Self.fileName)), in: path)
  }

  /// Checks the bytes of `masks.json`, read by another rank.
  init(text: [UInt8], in path: FilePath) throws {
    let name = shown(path.appending(Self.fileName))
    if let found = DocumentFormat(text),
      found.format != Self.formatName || found.formatVersion != Self.currentFormatVersion
    {
      throw RunFailure(
        .data,
        "\(name): format \(quoted(found.format)) version \(found.formatVersion.map(String.init) ?? "none"); this program reads "
          + "\(Self.formatName) version \(Self.currentFormatVersion)")
    }
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(text))
    } catch {
      throw RunFailure(.data, "\(name) is not a set of masks of frog-mpi mask: \(Document.reason(error))")
    }
    for mask in masks where !(mask.folder.map { MaskTarget.isName($0) && !$0.contains("/") } ?? false) {
      throw RunFailure(.data, "\(name): \(quoted(mask.folder ?? "")) is no name of a mask's folder")
    }
    guard threads > 0, Set(masks.map { ExactName($0.folder ?? "") }).count == masks.count else {
      throw RunFailure(.data, "\(name) contradicts itself")
    }
  }
}
