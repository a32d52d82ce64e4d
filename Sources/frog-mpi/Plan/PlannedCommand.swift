import Adapters
import ArgumentParser
import Comparison
import FROGDist
import FactorCache
import Planning
import RunCore
import Spectra
import SystemPackage
import Weights

/// The command whose run is planned.
enum PlannedCommand: String, CaseIterable, ExpressibleByArgument {
  case mask, analyze, compare, factor, export
}

/// The options that say what the planned command does, as the command has them itself. Each option belongs to one command alone.
struct PlannedWork: ParsableArguments {
  @Option(
    name: .customLong("for"),
    help: ArgumentHelp(
      "The command whose run is planned. For compare give the base, whose shapes stand for those of the tuned model. (default: mask)",
      valueName: "command"))
  var chosen: PlannedCommand?

  @OptionGroup(title: "Options of --for mask") var scores: ScoreWorkOptions

  @Option(
    help: ArgumentHelp(
      "The budgets of --for mask: shares of all weights, such as 1% or 0.01, or lora:16. (default: 1%)",
      valueName: "share|lora:rank,…"), transform: Budget.parsingList)
  var budget: CommaList<Budget>?

  @OptionGroup(title: "Options of --for analyze") var spectra: SpectrumWorkOptions

  @OptionGroup(title: "Options of --for compare") var pairs: PairOptions

  @Option(
    help:
      "The type of the vectors of --for factor, and of those for frogmask of --for export: f32 or bf16. Their --rank is that of --for mask. (default: f32)"
  )
  var dtype: FactorType?

  @Option(
    name: .customLong("method"),
    help: ArgumentHelp("The methods of --for export, with commas between.", valueName: "method,…"),
    transform: CommaList<ExportMethod>.parsing)
  var methods: CommaList<ExportMethod>?

  @OptionGroup(title: "Options of --for export") var export: ExportWorkOptions

  var command: PlannedCommand { chosen ?? .mask }

  /// The names of the options that were given, by the command that has them.
  private var options: [(owner: PlannedCommand, given: [String])] {
    // One option has one name, so --rank of `factor` and `export`, and --factors of `analyze`, are read with the options of scores.
    let shared: [PlannedCommand: String] = [.factor: "--rank", .export: "--rank", .analyze: "--factors"]
    let scoreOptions = scores.given.filter { $0 != shared[command] }
    return [
      (.mask, scoreOptions + (budget == nil ? [] : ["--budget"])), (.analyze, spectra.given), (.compare, pairs.given),
      (command == .export ? .export : .factor, dtype == nil ? [] : ["--dtype"]),
      (.export, (methods == nil ? [] : ["--method"]) + export.given),
    ]
  }

  /// The names of the options that were given.
  var given: [String] {
    (chosen == nil ? [] : ["--for"]) + scores.given.filter { $0 == "--rank" || $0 == "--factors" }
      + options.flatMap(\.given)
  }

  func validate() throws {
    for (owner, given) in options where owner != command {
      if let name = given.first {
        throw ValidationError("\(name) belongs to --for \(owner.rawValue), and this is --for \(command.rawValue)")
      }
    }
    if command == .export {
      guard let methods else { throw ValidationError("--for export needs --method") }
      try export.validate(for: methods.elements)
      if dtype != nil {
        try ExportArguments.need(
          "--dtype", true, ExportMethod.allCases.filter { !$0.isForPEFT }, of: methods.elements)
      }
    }
    if command == .mask {
      try scores.refuseIdleFactors()
      if !scores.scoring.isApproximate { try scores.refuseApproximation() }
    }
  }

  /// The planned run of the command on the matrices of `tensors`, and those of them that it works on.
  func run(_ tensors: PlannedTensors) throws -> (run: any PlannedRun, tensors: PlannedTensors) {
    guard command == .export else { return (try runOnAll(tensors), tensors) }
    let choice = export.choice(methods?.elements ?? [], rank: scores.rank, dtype: dtype)
    let (chosen, run) = try PlannedExport.planned(choice, of: tensors)
    return (run, chosen)
  }

  /// The planned run of a command that works on all matrices.
  private func runOnAll(_ tensors: PlannedTensors) throws -> any PlannedRun {
    let factors = try scores.factors.map { try FactorFolder.open(FilePath($0), for: tensors.catalog) }
    switch command {
    case .mask:
      let keeps = try (budget?.elements ?? [.standard]).map { try $0.resolve(of: tensors.matrices) }
      let rankings = scores.normalizations.map { Ranking(normalize: $0) }
      return PlannedMask(
        scores.scoring.work(rankings), keeps: rankings.flatMap { _ in keeps }, rankings: rankings.count,
        auditCount: scores.scoring.auditCount, factorBytes: factors?.byteCount)
    case .analyze: return PlannedAnalysis(spectra.choice, of: tensors, factors: factors)
    case .compare: return PlannedComparison(pairs.choice, of: tensors)
    case .export: throw RunFailure(.internal, "an export works on some matrices")
    case .factor: return try PlannedFactors(FactorChoice(rank: scores.rank, dtype: dtype ?? .f32), of: tensors)
    }
  }
}
