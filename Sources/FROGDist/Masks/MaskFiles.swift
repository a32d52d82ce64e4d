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

  /// Whether `name` is the name of a mask file.
  static func isMask(_ name: String) -> Bool { name.hasPrefix("masks-") && name.hasSuffix(".safetensors") }

  static let kind = OutputKind(
    command: "mask", recordName: recordName, lastName: indexName, isLarge: isMask,
    isReplaced: {
      isMask($0) || [TransformersNames.fileName, AnalysisFiles.detailsName, AnalysisFiles.summaryName].contains($0)
    },
    owns: { $1.contains { isMask($0) || $0 == recordName || $0 == indexName } },
    threads: { try MaskReader($0).record.parameters.tensors.threads },
    identity: { try identity(of: $0, now: $1) })

  /// The options of a run of `mask` that shape its result, as words by name of option.
  static func options(_ parameters: MaskRecord.Parameters, names: ParameterNames?, audit: Int?, teams: String)
    -> [String: String]
  {
    var options = RunIdentity.words(of: parameters)
    options["--names"] = names?.rawValue ?? "none"
    options["--audit"] = audit.map { "\($0)" } ?? "none"
    options["--teams"] = teams
    return options
  }

  private static func identity(of path: FilePath, now: RunIdentity) throws -> RunIdentity {
    let record = try MaskReader(path).record
    var options = options(record.parameters, names: record.names.map { _ in .transformers5 }, audit: nil, teams: "")
    var unsaid = ["--audit", "--teams"]
    // The rank was found by the audit, not asked for.
    if record.parameters.targetOverlap != nil { unsaid += ["--rank", "--oversample", "--power-iterations"] }
    for name in unsaid { options[name] = now.options[name] }
    return RunIdentity(
      version: record.version, options: options, threads: record.parameters.tensors.threads,
      sources: ["checkpoint": record.checkpoint], now: now)
  }
}
