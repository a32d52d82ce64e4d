import Weights
import RunCore
import ShardIO

/// Where every byte of the output goes, known to all ranks once they know how many weights each matrix keeps.
struct MaskLayout {
  struct File {
    let name: String
    let layout: ShardLayout
    /// Positions in ``MaskLayout/outputs``.
    let outputs: [Int]
  }

  /// One for each shard that holds weight matrices: outputs mirror the input, not the ranks.
  let files: [File]
  /// In the order of ``Catalog/outputs``.
  let outputs: [MaskTensors]
  /// By ordinal: the position of its output and, in a stack, of its expert there.
  private let places: [(output: Int, expert: Int)]
  private let fileOfOutput: [Int]

  /// - Parameter kept: by ordinal.
  init(_ catalog: Catalog, kept: [Int], format: MaskFormat) throws {
    let outputs = catalog.outputs.map { MaskTensors($0, in: catalog, kept: kept, format: format) }
    var places = [(output: Int, expert: Int)](repeating: (0, 0), count: catalog.matrices.count)
    for (number, output) in catalog.outputs.enumerated() {
      for (expert, ordinal) in output.ordinals.enumerated() { places[ordinal] = (number, expert) }
    }
    let shardOfOutput = catalog.outputs.map { catalog.tensors[$0.tensor].shard }
    // A shard may hold nothing but scales.
    let shards = Set(shardOfOutput).sorted()
    let inShard = Dictionary(grouping: outputs.indices) { shardOfOutput[$0] }
    files = try shards.enumerated().map { number, shard in
      let contents = inShard[shard] ?? []
      do {
        return File(
          name: Self.fileName(number + 1, of: shards.count),
          layout: try ShardLayout(tensors: contents.flatMap { outputs[$0].layout }, metadata: ["format": "pt"]),
          outputs: contents)
      } catch {
        throw RunFailure(.data, "the masks of \(quoted(catalog.shards[shard].fileName)) do not fit one file: \(error)")
      }
    }
    let fileOfShard = Dictionary(zip(shards, 0...)) { first, _ in first }
    self.outputs = outputs
    self.places = places
    fileOfOutput = shardOfOutput.map { fileOfShard[$0] ?? 0 }
  }

  /// The tensors that a matrix is written to, and which expert of a stack it is there.
  func place(of ordinal: Int) -> (tensors: MaskTensors, expert: Int) {
    let place = places[ordinal]
    return (outputs[place.output], place.expert)
  }

  /// The number of the file that holds a matrix.
  func file(of ordinal: Int) -> Int { fileOfOutput[places[ordinal].output] }

  /// The range of a tensor in its file.
  func range(of tensor: String, in ordinal: Int) throws -> Range<Int> {
    guard let range = files[file(of: ordinal)].layout.byteRange(of: tensor) else {
      throw RunFailure(.internal, "no place was laid out for \(quoted(tensor))")
    }
    return range
  }

  /// Every file with the tensors in it.
  var contents: [(name: String, tensors: [(name: String, byteCount: Int)])] {
    files.map { file in
      let names = file.outputs.flatMap { outputs[$0].layout.map(\.name) }
      return (file.name, names.map { ($0, file.layout.byteRange(of: $0)?.count ?? 0) })
    }
  }

  private static func fileName(_ number: Int, of count: Int) -> String {
    func padded(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - "\(value)".count)) + "\(value)" }
    return "masks-\(padded(number))-of-\(padded(count)).safetensors"
  }
}

extension MaskTensors {
  /// - Parameter kept: by ordinal.
  init(_ output: Catalog.Output, in catalog: Catalog, kept: [Int], format: MaskFormat) {
    let tensor = catalog.tensors[output.tensor]
    let matrices = output.ordinals.map { catalog.matrices[$0] }
    let kept = output.ordinals.map { kept[$0] }
    self.init(
      name: output.name, rows: matrices.first?.rows ?? 0, columns: matrices.first?.columns ?? 0,
      storedSize: tensor.shape.reduce(1, &*), isStack: tensor.content.experts != nil, kept: kept,
      format: format.resolved(kept: kept.reduce(0, +), size: matrices.reduce(0) { $0 + $1.size }))
  }
}
