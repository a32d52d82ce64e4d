import ArgumentParser
import Execution
import FROGDist
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
      this is quick for models of any size. For an output folder of `frog-mpi mask` it says how many weights each matrix keeps.
      """)

  @Argument(help: "A checkpoint folder, a .safetensors file, or an output folder of `frog-mpi mask`.")
  var path: String

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup var choice: TensorChoice

  func run() throws {
    guard Terminal.speaksForAllRanks else { return }
    do {
      let path = FilePath(path)
      var output = StandardOutput()
      if MaskReader.isOutput(path) {
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

/// The text that `inspect` prints of a checkpoint. It is written line by line, since there may be a million tensors.
struct CheckpointDescription {
  private struct Total {
    let tensorClass: String
    var tensors = 0
    var matrices = 0
    var weights = 0
    var bytes = 0
  }

  private let classified: ClassifiedCheckpoint
  private let totals: [Total]

  init(_ classified: ClassifiedCheckpoint) {
    self.classified = classified
    var totals = TensorClass.names.map { Total(tensorClass: $0) }
    for entry in classified.tensors {
      let info = entry.tensor.info
      let name = entry.tensorClass.name
      for index in totals.indices where totals[index].tensorClass == name {
        totals[index].tensors += 1
        totals[index].matrices += entry.matrixCount
        totals[index].weights = Self.sum(totals[index].weights, info.elementCount)
        totals[index].bytes = Self.sum(totals[index].bytes, info.byteRange.count)
      }
    }
    self.totals = totals
  }

  /// The sum of two sizes, or the largest Int: the sizes that sparse files claim may add up to more than Int holds.
  private static func sum(_ left: Int, _ right: Int) -> Int {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
  }

  // MARK: JSON

  /// Writes one JSON object, with a line for each tensor.
  func writeJSON(to output: inout StandardOutput) throws(RunFailure) {
    var json = JSONWriter()
    func next(_ isFirst: Bool) -> String { isFirst ? "\n    " : ",\n    " }
    try output.write("{\n  \"tensors\": [")
    for (ordinal, entry) in classified.tensors.enumerated() where !output.isClosed {
      write(entry, to: &json)
      try output.write(next(ordinal == 0))
      try output.write(json.text)
    }
    try output.write("\n  ],\n  \"totals\": [")
    for (number, total) in totals.enumerated() {
      write(total, to: &json)
      try output.write(next(number == 0))
      try output.write(json.text)
    }
    try output.write("\n  ],\n  \"warnings\": [")
    for (number, warning) in classified.warnings.enumerated() {
      json.reset()
      json.string(warning)
      try output.write(next(number == 0))
      try output.write(json.text)
    }
    try output.write("\n  ]\n}\n")
  }

  private func write(_ entry: ClassifiedTensor, to json: inout JSONWriter) {
    let info = entry.tensor.info
    json.reset()
    json.openObject()
    json.key("name")
    json.string(info.name)
    json.key("dtype")
    json.string(info.dtype.rawValue)
    json.key("shape")
    json.numbers(info.shape)
    json.key("bytes")
    json.number(info.byteRange.count)
    json.key("class")
    json.string(entry.tensorClass.name)
    json.key("matrices")
    json.number(entry.matrixCount)
    if let reason = entry.tensorClass.reason {
      json.key("reason")
      json.string(reason)
    }
    json.key("shard")
    json.string(classified.checkpoint.shards[entry.tensor.shard].fileName)
    json.closeObject()
  }

  private func write(_ total: Total, to json: inout JSONWriter) {
    json.reset()
    json.openObject()
    json.key("class")
    json.string(total.tensorClass)
    json.key("tensors")
    json.number(total.tensors)
    json.key("matrices")
    json.number(total.matrices)
    json.key("weights")
    json.number(total.weights)
    json.key("bytes")
    json.number(total.bytes)
    json.closeObject()
  }

  // MARK: Tables

  /// Writes a table of the tensors and one of the classes.
  ///
  /// It walks over the tensors twice, the first time for the widths of columns, so that no table is held in memory.
  func writeTables(to output: inout StandardOutput) throws(RunFailure) {
    let heading = ["tensor", "dtype", "shape", "size", "class", "shard"]
    var columns = TableColumns(heading, right: [3])
    var cells = TensorCells(classified.checkpoint)
    for entry in classified.tensors { columns.fit(cells.row(of: entry)) }
    try output.write(columns.line(heading))
    for entry in classified.tensors where !output.isClosed { try output.write(columns.line(cells.row(of: entry))) }
    let rows = totals.map { total in
      [
        total.tensorClass, Terminal.grouped(total.tensors), Terminal.grouped(total.matrices),
        Terminal.grouped(total.weights), Terminal.bytes(total.bytes),
      ]
    }
    try output.write(
      "\n" + Terminal.table(["class", "tensors", "matrices", "weights", "size"], rows, right: [1, 2, 3, 4]))
  }

  /// Makes the rows of the table. Neighbours mostly differ in nothing but the name, so the text of each other cell is kept for the next
  /// row.
  private struct TensorCells {
    private var shape = LastText<[Int]>()
    private var size = LastText<Int>()
    private var tensorClass = LastText<TensorClass>()
    private let shards: [String]

    init(_ checkpoint: Checkpoint) {
      shards = checkpoint.shards.map { Terminal.printable($0.fileName) }
    }

    mutating func row(of entry: ClassifiedTensor) -> [String] {
      let info = entry.tensor.info
      return [
        Terminal.printable(info.name), info.dtype.rawValue, shape.text(of: info.shape, Terminal.shape),
        size.text(of: info.byteRange.count, Terminal.bytes),
        tensorClass.text(of: entry.tensorClass) {
          let name = $0.name
          return $0.reason.map { "\(name): \($0)" } ?? name
        },
        shards[entry.tensor.shard],
      ]
    }
  }

  private struct LastText<Value: Equatable> {
    private var value: Value?
    private var text = ""

    mutating func text(of value: Value, _ describe: (Value) -> String) -> String {
      if self.value != value {
        self.value = value
        text = describe(value)
      }
      return text
    }
  }
}
