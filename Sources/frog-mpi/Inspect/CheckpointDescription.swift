import RunCore
import ShardIO
import Weights

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
        totals[index].weights = totals[index].weights.addingSaturated(info.elementCount)
        totals[index].bytes = totals[index].bytes.addingSaturated(info.byteRange.count)
      }
    }
    self.totals = totals
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
    try output.write("\n  ],\n  \"coverage\": ")
    do { try output.write(Document.encode(classified.coverage)) } catch { throw RunFailure(error) }
    try output.write(",\n  \"warnings\": [")
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
    if let evidence = entry.evidence {
      json.key("evidence")
      json.string(evidence)
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
    let coverage = classified.coverage
    guard !coverage.leftOut.isEmpty else { return }
    let parts = coverage.leftOut.map { part in
      [
        part.kind, Terminal.grouped(part.tensors),
        Terminal.grouped(part.weights), Terminal.decimal(100 * part.share, 2) + "%", Terminal.printable(part.largest),
      ]
    }
    try output.write(
      "\n" + Terminal.table(["left out", "tensors", "weights", "share", "such as"], parts, right: [1, 2, 3]))
  }

  /// Makes the rows of the table. Neighbours mostly differ in nothing but the name, so the text of each other cell is kept for the next
  /// row.
  private struct TensorCells {
    private var shape = LastText<[Int]>()
    private var size = LastText<Int>()
    private var tensorClass = LastText<Decision>()
    private let shards: [String]

    init(_ checkpoint: Checkpoint) {
      shards = checkpoint.shards.map { Terminal.printable($0.fileName) }
    }

    mutating func row(of entry: ClassifiedTensor) -> [String] {
      let info = entry.tensor.info
      return [
        Terminal.printable(info.name), info.dtype.rawValue, shape.text(of: info.shape, Terminal.shape),
        size.text(of: info.byteRange.count, Terminal.bytes),
        tensorClass.text(of: Decision(tensorClass: entry.tensorClass, evidence: entry.evidence)) { $0.text },
        shards[entry.tensor.shard],
      ]
    }
  }

  /// The class of a tensor, and what decided it.
  private struct Decision: Equatable {
    let tensorClass: TensorClass
    let evidence: String?

    var text: String {
      let name = tensorClass.name
      return (tensorClass.reason.map { "\(name): \($0)" } ?? name) + (evidence.map { " (\($0))" } ?? "")
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
