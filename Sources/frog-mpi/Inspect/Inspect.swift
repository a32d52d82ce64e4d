import Adapters
import ArgumentParser
import Execution
import FROGDist
import FactorCache
import Logging
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The command `frog-mpi inspect`.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what is in a checkpoint or in an output folder.",
    discussion: """
      Lists every tensor of a checkpoint, and says whether it counts as a weight matrix and, if not, why. Only headers are read, so \
      this is quick for models of any size. For an output folder of `frog-mpi mask` it says how many weights each matrix keeps, \
      and with --layers how important each layer is. For one of `frog-mpi factor` it says how exact the factors are, and for one of \
      `frog-mpi export` what each method has of each matrix.
      """)

  @Argument(
    help: "A checkpoint folder, a .safetensors file, or an output folder of `frog-mpi mask`, `factor` or `export`.")
  var path: String

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: "Of an output folder, show the importance of each layer, and what is kept of it, by role.")
  var layers = false

  @Option(
    help: ArgumentHelp(
      """
      What the bars of --layers show: importance is the share of norms; selected is the sum of the kept weights' scores; scores is the \
      sum of all scores; kept is the number of kept weights. (default: importance)
      """,
      valueName: "importance|selected|scores|kept"))
  var by: LayersReport.Measure?

  @Option(
    help: ArgumentHelp(
      """
      With --layers, estimate from the histograms of the run how the shares of layers shift with the budget: for a list of budgets \
      such as 0.5%,1%,lora:16, or for 1, 2 and 5 times every power of ten in a range such as 0.1%..20%. Nothing is computed anew.
      """,
      valueName: "from..to|list"), transform: BudgetRange.parsing)
  var budgetSweep: BudgetRange?

  @OptionGroup var choice: TensorChoice

  func validate() throws {
    if by != nil, !layers { throw ValidationError("--by belongs to --layers") }
    if budgetSweep != nil, !layers { throw ValidationError("--budget-sweep belongs to --layers") }
  }

  func run() throws {
    guard Terminal.speaksForAllRanks else { return }
    do {
      let path = FilePath(path)
      var output = StandardOutput()
      if layers {
        try output.write(describeLayers(MaskReader(path)))
      } else if MaskSet.isOne(path) {
        try output.write(describe(MaskSet(in: path)))
      } else if FactorFiles.isOutput(path) {
        try output.write(describe(FactorFiles.read(in: path).record))
      } else if ExportFiles.isOutput(path) {
        try output.write(describe(ExportFiles.read(in: path).record))
      } else if MaskReader.isOutput(path) {
        try output.write(describe(MaskReader(path).record))
      } else {
        try describe(Checkpoint.open(path, io: .pread), to: &output)
      }
      try output.flush()
    } catch {
      throw RunFailure(error)
    }
  }

  private func describe(_ checkpoint: Checkpoint, to output: inout StandardOutput) throws {
    let classified = try ClassifiedCheckpoint(checkpoint, options: choice.options)
    let description = CheckpointDescription(classified)
    if json { return try description.writeJSON(to: &output) }
    let logger = Diagnostics.logger()
    for warning in classified.warnings { logger.warning("\(warning)") }
    try description.writeTables(to: &output)
  }

  private func describeLayers(_ reader: MaskReader) throws -> String {
    let sweep = try budgetSweep.map { try BudgetSweep($0.points, of: reader) }
    let report = LayersReport(reader.record, by: by ?? .importance, sweep: sweep)
    return json
      ? String(decoding: try Document.encode(report), as: UTF8.self)
      : LayersDescription(report, on: .current).text
  }

  private func describe(_ record: FactorRecord) throws -> String {
    guard !json else { return String(decoding: try Document.encode(record), as: UTF8.self) }
    let description = FactorDescription(record)
    return description.table + "\n" + SummaryLines.columns(description.lines)
  }

  private func describe(_ record: ExportRecord) throws -> String {
    guard !json else { return String(decoding: try Document.encode(record), as: UTF8.self) }
    let description = ExportDescription(record)
    return description.table + "\n" + SummaryLines.columns(description.lines)
  }

  private func describe(_ set: MaskSet) throws -> String {
    guard !json else { return String(decoding: try Document.encode(set), as: UTF8.self) }
    func percent(_ value: Double?) -> String { value.map { Terminal.decimal(100 * $0, 1) + "%" } ?? "-" }
    let weights = Double(max(set.checkpoint.weights, 1))
    let rows = set.masks.map { mask in
      [
        Terminal.printable(mask.folder ?? ""), Terminal.grouped(mask.kept),
        Terminal.decimal(100 * Double(mask.kept) / weights, 3) + "%", mask.threshold.map(Terminal.score) ?? "-",
        percent(mask.concentration?.effectiveRows), percent(mask.concentration?.effectiveColumns),
        Terminal.grouped(mask.starved), percent(mask.audit?.overlap),
      ]
    }
    let heading = ["mask", "kept", "share", "threshold", "rows", "columns", "starved", "as exact"]
    return Terminal.table(heading, rows, right: [1, 2, 3, 4, 5, 6, 7])
      + "\n\(set.masks.count) masks of \(Terminal.grouped(set.checkpoint.weights)) weights in "
      + "\(Terminal.grouped(set.checkpoint.matrices)) matrices; rows and columns are effective shares; inspect one by its folder\n"
  }

  private func describe(_ record: MaskRecord) throws -> String {
    guard !json else { return String(decoding: try Document.encode(record), as: UTF8.self) }
    func percent(_ value: Double?) -> String { value.map { Terminal.decimal(100 * $0, 1) + "%" } ?? "-" }
    let rows = record.matrices.map { matrix in
      let size = matrix.shape[0] * matrix.shape[1]
      return [
        Terminal.printable(matrix.name), "\(matrix.shape)", Terminal.grouped(matrix.kept),
        Terminal.decimal(100 * Double(matrix.kept) / Double(size), 3) + "%",
        matrix.threshold.map(Terminal.score) ?? "-", percent(matrix.concentration?.effectiveRows),
        percent(matrix.concentration?.effectiveColumns), percent(matrix.rankOneShare), matrix.format, matrix.file,
      ]
    }
    let share = 100 * Double(record.kept) / Double(max(record.checkpoint.weights, 1))
    var lines = [
      "\(Terminal.grouped(record.kept)) of \(Terminal.grouped(record.checkpoint.weights)) weights kept "
        + "(\(Terminal.decimal(share, 3))%, \(record.parameters.description))"
        + (record.kept == record.K ? "" : " of \(Terminal.grouped(record.K)) asked for")
        + (record.threshold.map { ", threshold \(Terminal.score($0))" } ?? "")
    ]
    if let found = record.concentration {
      lines.append(
        "kept weights lie in \(percent(found.effectiveRows)) of rows and \(percent(found.effectiveColumns)) of columns (effective, "
          + "mean over kept weights); the top 1% of rows holds \(percent(found.topRows)), of columns \(percent(found.topColumns)); "
          + "\(Terminal.grouped(found.unusedRows)) rows and \(Terminal.grouped(found.unusedColumns)) columns are unused"
      )
    }
    if let audit = record.audit { lines.append("approximation: \(audit.description)") }
    if record.starved > 0 {
      lines.append(
        "\(record.starved) of \(record.matrices.count) matrices keep less than a tenth of a uniform share")
    }
    let heading = [
      "matrix", "shape", "kept", "share", "threshold", "rows", "columns", "rank one", "format", "file",
    ]
    return Terminal.table(heading, rows, right: [2, 3, 4, 5, 6, 7]) + "\n" + lines.joined(separator: "\n") + "\n"
  }
}

extension LayersReport.Measure: ExpressibleByArgument {}

extension BudgetRange {
  /// The budgets that the text of a command line asks for.
  static func parsing(_ text: String) throws -> BudgetRange {
    guard let range = BudgetRange(text) else {
      throw ValidationError(
        "it must be a range of shares above 0 such as 0.1%..20%, or a list of at most 100 budgets such as 0.5%,1%,lora:16"
      )
    }
    return range
  }
}
