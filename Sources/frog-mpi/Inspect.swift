import ArgumentParser
import FROGDist
import Logging
import ShardIO
import SystemPackage

/// `frog-mpi inspect`
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what is in a checkpoint, or in an output folder.",
    discussion: """
      For a checkpoint: every tensor, whether it counts as a weight matrix, and if not, why. Only headers are read, so it is quick for \
      models of any size. For an output folder of `frog-mpi mask`: how many weights each matrix keeps.
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
      let text =
        MaskReader.isOutput(path)
        ? try describe(MaskReader(path).record)
        : try describe(Checkpoint.open(path, io: .pread))
      print(text, terminator: "")
    } catch {
      throw RunFailure(error)
    }
  }

  private func describe(_ checkpoint: Checkpoint) throws -> String {
    let description = CheckpointDescription(try ClassifiedCheckpoint(checkpoint, options: choice.options))
    guard !json else { return String(decoding: try Document.encode(description), as: UTF8.self) }
    let logger = Diagnostics.logger()
    for warning in description.warnings { logger.warning("\(warning)") }
    let rows = description.tensors.map { tensor in
      [
        Terminal.printable(tensor.name), tensor.dtype, "\(tensor.shape)", Terminal.bytes(tensor.bytes),
        tensor.reason.map { "\(tensor.tensorClass): \($0)" } ?? tensor.tensorClass, tensor.shard,
      ]
    }
    let totals = description.totals.map { total in
      [
        total.tensorClass, Terminal.grouped(total.tensors), Terminal.grouped(total.weights),
        Terminal.bytes(total.bytes),
      ]
    }
    return Terminal.table(["tensor", "dtype", "shape", "size", "class", "shard"], rows, right: [3]) + "\n"
      + Terminal.table(["class", "tensors", "weights", "size"], totals, right: [1, 2, 3])
  }

  private func describe(_ record: RunRecord) throws -> String {
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

/// What `inspect --json` prints of a checkpoint.
struct CheckpointDescription: Encodable {
  struct Tensor: Encodable {
    let name: String
    let dtype: String
    let shape: [Int]
    let bytes: Int
    let shard: String
    let tensorClass: String
    let reason: String?
    /// How many it holds.
    let matrices: Int

    enum CodingKeys: String, CodingKey {
      case name, dtype, shape, bytes, shard, reason, matrices
      case tensorClass = "class"
    }
  }

  struct Total: Encodable {
    let tensorClass: String
    var tensors = 0
    var matrices = 0
    var weights = 0
    var bytes = 0

    enum CodingKeys: String, CodingKey {
      case tensors, matrices, weights, bytes
      case tensorClass = "class"
    }
  }

  let tensors: [Tensor]
  let totals: [Total]
  let warnings: [String]

  init(_ classified: ClassifiedCheckpoint) {
    var totals = TensorClass.names.map { Total(tensorClass: $0) }
    tensors = classified.tensors.map { entry in
      let info = entry.tensor.info
      let name = entry.tensorClass.name
      for index in totals.indices where totals[index].tensorClass == name {
        totals[index].tensors += 1
        totals[index].matrices += entry.matrixCount
        totals[index].weights &+= info.elementCount
        totals[index].bytes += info.byteRange.count
      }
      return Tensor(
        name: info.name, dtype: info.dtype.rawValue, shape: info.shape, bytes: info.byteRange.count,
        shard: classified.checkpoint.shards[entry.tensor.shard].fileName, tensorClass: name,
        reason: entry.tensorClass.reason, matrices: entry.matrixCount)
    }
    self.totals = totals
    warnings = classified.warnings
  }
}
