import RunCore
import ShardIO
import Weights

/// The place of every byte of the output. All ranks know it once they know how many weights each matrix keeps.
///
/// Invariant: all ranks compute the same layout, and the places of two matrices never overlap. So ranks write without asking each other.
///
/// A checkpoint with weight matrices in two shards gets the files `masks-00001-of-00002.safetensors` and
/// `masks-00002-of-00002.safetensors`.
struct MaskLayout {
  struct File {
    let name: String
    let layout: ShardLayout
    /// The positions in ``MaskLayout/outputs`` of what the file holds.
    let outputs: [Int]
  }

  /// The files, one for each shard that holds weight matrices. The output mirrors the input, not the ranks.
  let files: [File]
  /// The tensors of every matrix or stack, in the order of ``Catalog/outputs``.
  let outputs: [MaskTensors]
  /// The position of a matrix's output and, in a stack, of its expert there; by ordinal.
  private let places: [(output: Int, expert: Int)]
  private let fileOfOutput: [Int]

  /// - Parameter kept: the number of kept weights of every matrix, by ordinal.
  init(_ catalog: Catalog, kept: [Int], format: MaskFormat) throws {
    let outputs = catalog.outputs.map { MaskTensors($0, in: catalog, kept: kept, format: format) }
    var places = [(output: Int, expert: Int)](repeating: (0, 0), count: catalog.matrices.count)
    for (number, output) in catalog.outputs.enumerated() {
      for (expert, ordinal) in output.ordinals.enumerated() { places[ordinal] = (number, expert) }
    }
    let shardOfOutput = catalog.outputs.map { catalog.tensors[$0.tensor].shard }
    // A shard may hold scales alone, and then has no masks.
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

  /// The tensors that hold the mask of a matrix, and the number of its expert if they are a stack.
  func place(of ordinal: Int) -> (tensors: MaskTensors, expert: Int) {
    let place = places[ordinal]
    return (outputs[place.output], place.expert)
  }

  /// The number of the file that holds a matrix.
  func file(of ordinal: Int) -> Int { fileOfOutput[places[ordinal].output] }

  /// The range of bytes of a tensor in its file.
  func range(of tensor: String, in ordinal: Int) throws -> Range<Int> {
    guard let range = files[file(of: ordinal)].layout.byteRange(of: tensor) else {
      throw RunFailure(.internal, "no place was laid out for \(quoted(tensor))")
    }
    return range
  }

  /// The files by name, with the tensors in each and their sizes in bytes.
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
  /// - Parameter kept: the number of kept weights of every matrix, by ordinal.
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
