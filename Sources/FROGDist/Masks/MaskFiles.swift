import Execution
import FoundationEssentials
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

/// The files that `mask` writes.
package enum MaskFiles {
  /// The name of the file with every parameter that shapes the result, and what came out.
  static let recordName = "frog.json"
  /// The name of the index of the mask files, which is written last.
  static let indexName = "masks.safetensors.index.json"

  /// The names of all files that `frog.json` vouches for beside the mask files. A run writes those that were asked for.
  static let documents =
    [LayersTable.fileName, TransformersNames.fileName, AnalysisFiles.detailsName, AnalysisFiles.summaryName]
    + sharedDocuments

  /// The names of those documents that all ranks write together.
  static let sharedDocuments = [HistogramLayout.fileName, SpectraFile.fileName]

  /// Whether `name` is the name of a mask file.
  static func isMask(_ name: String) -> Bool { name.hasPrefix("masks-") && name.hasSuffix(".safetensors") }

  /// The files of a run that makes one mask, in the output folder itself.
  static let one = OutputKind(
    command: "mask", recordName: recordName, lastName: indexName, marks: marks,
    isLarge: { isMask($0) || sharedDocuments.contains($0) }, isReplaced: isOurs, owns: { owns($1) },
    folders: folders, threads: { try MaskReader($0).record.parameters.tensors.threads },
    identity: { try identity(of: $0, now: $1) })

  /// The files of a run that makes several masks, each in a folder of its own.
  static let several = OutputKind(
    command: "mask", recordName: MaskSet.fileName, lastName: MaskSet.fileName, marks: marks,
    isLarge: MaskTarget.isName, isReplaced: isOurs, owns: { owns($1) }, folders: folders,
    threads: { try MaskSet(in: $0).threads },
    identity: { path, now in
      let set = try MaskSet(in: path)
      var words = set.options
      words.take(unsaid, from: now.options)
      return RunIdentity(
        version: set.version, options: words, threads: set.threads, sources: ["checkpoint": set.checkpoint], now: now)
    })

  /// A folder may change from one mask to several, so each of both marks goes before new results come.
  private static let marks = [indexName, MaskSet.fileName]

  private static func owns(_ names: [String]) -> Bool {
    names.contains { isMask($0) || $0 == recordName || $0 == indexName || $0 == MaskSet.fileName }
  }

  private static func isOurs(_ name: String) -> Bool {
    isMask(name) || name == recordName || marks.contains(name) || documents.contains(name)
  }

  /// The folders of the masks that a run of several has published; none if the document that lists them is not of the documented form.
  ///
  /// - Throws: `SourceError` if the document is there and cannot be read.
  private static func folders(of path: FilePath) throws -> [String] {
    let file = path.appending(MaskSet.fileName)
    guard try Folder.exists(file) else { return [] }
    let text = try Document.contents(of: file)
    return ((try? MaskSet(text: text, in: path))?.masks ?? []).compactMap(\.folder)
  }

  /// Options that results do not record, since results do not depend on them.
  private static let unsaid = ["--audit", "--teams"]

  /// The options of a run of `mask` that shape its results: those that the records have, and three that they have not.
  ///
  /// - Parameters:
  ///   - parameters: those of each mask.
  ///   - audit: the number of matrices that an approximation scores exactly too; nil for exact scores.
  static func words(
    _ parameters: [MaskRecord.Parameters], names: ParameterNames?, audit: Int?, teams: TeamPolicy
  ) -> OptionWords {
    var words = OptionWords(lists: parameters.map(\.words))
    words.add("--names", names)
    words.add("--audit", audit)
    words.add("--teams", teams)
    return words
  }

  private static func identity(of path: FilePath, now: RunIdentity) throws -> RunIdentity {
    let record = try MaskReader(path).record
    var words = words(
      [record.parameters], names: record.documents[TransformersNames.fileName].map { _ in .transformers5 },
      audit: nil, teams: .memory)
    words.take(unsaid, from: now.options)
    // The rank was found by the audit, not asked for.
    if record.parameters.targetOverlap != nil {
      words.take(["--rank", "--oversample", "--power-iterations"], from: now.options)
    }
    return RunIdentity(
      version: record.version, options: words, threads: record.parameters.tensors.threads,
      sources: ["checkpoint": record.checkpoint], now: now)
  }
}
