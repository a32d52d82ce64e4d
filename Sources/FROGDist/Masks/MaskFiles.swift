import Execution
import FoundationEssentials
import RunCore
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
  static let documents = [
    LayersTable.fileName, TransformersNames.fileName, AnalysisFiles.detailsName, AnalysisFiles.summaryName,
  ]

  /// Whether `name` is the name of a mask file.
  static func isMask(_ name: String) -> Bool { name.hasPrefix("masks-") && name.hasSuffix(".safetensors") }

  static let kind = OutputKind(
    command: "mask", recordName: recordName, lastName: indexName, isLarge: isMask,
    isReplaced: { isMask($0) || documents.contains($0) },
    owns: { $1.contains { isMask($0) || $0 == recordName || $0 == indexName } },
    threads: { try MaskReader($0).record.parameters.tensors.threads },
    identity: { try identity(of: $0, now: $1) })

  /// The options of a run of `mask` that shape its result: those that its record has, and three that it has not.
  ///
  /// - Parameter audit: the number of matrices that an approximation scores exactly too; nil for exact scores.
  static func words(
    _ parameters: MaskRecord.Parameters, names: ParameterNames?, audit: Int?, teams: TeamPolicy
  ) -> OptionWords {
    var words = parameters.words
    words.add("--names", names)
    words.add("--audit", audit)
    words.add("--teams", teams)
    return words
  }

  private static func identity(of path: FilePath, now: RunIdentity) throws -> RunIdentity {
    let record = try MaskReader(path).record
    var words = words(
      record.parameters, names: record.documents[TransformersNames.fileName].map { _ in .transformers5 }, audit: nil,
      teams: .memory)
    var unsaid = ["--audit", "--teams"]
    // The rank was found by the audit, not asked for.
    if record.parameters.targetOverlap != nil { unsaid += ["--rank", "--oversample", "--power-iterations"] }
    words.take(unsaid, from: now.options)
    return RunIdentity(
      version: record.version, options: words, threads: record.parameters.tensors.threads,
      sources: ["checkpoint": record.checkpoint], now: now)
  }
}
