import ShardIO

/// Where every byte of the output goes, known to all ranks once they know how many weights each matrix keeps.
struct MaskLayout {
  struct File {
    let name: String
    let layout: ShardLayout
    let ordinals: [Int]
  }

  /// One for each shard of the catalog: outputs mirror the input, not the ranks.
  let files: [File]
  /// By ordinal.
  let tensors: [MaskTensors]
  private let fileOfShard: [Int]

  /// - Parameter kept: by ordinal.
  init(_ catalog: Catalog, kept: [Int], format: MaskFormat) throws {
    tensors = zip(catalog.matrices, kept).map { matrix, kept in
      MaskTensors(
        name: matrix.name, rows: matrix.rows, columns: matrix.columns, kept: kept,
        format: format.resolved(kept: kept, size: matrix.size))
    }
    let all = tensors
    let ordinals = Dictionary(grouping: catalog.matrices.indices) { catalog.matrices[$0].shard }
    files = try catalog.shards.indices.map { shard in
      let inShard = ordinals[shard] ?? []
      do {
        return File(
          name: Self.fileName(shard + 1, of: catalog.shards.count),
          layout: try ShardLayout(tensors: inShard.flatMap { all[$0].layout }, metadata: ["format": "pt"]),
          ordinals: inShard)
      } catch {
        throw RunFailure(.data, "the masks of \(catalog.shards[shard].fileName) do not fit one file: \(error)")
      }
    }
    fileOfShard = catalog.matrices.map(\.shard)
  }

  /// The number of the file that holds a matrix.
  func file(of ordinal: Int) -> Int { fileOfShard[ordinal] }

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
      let names = file.ordinals.flatMap { tensors[$0].layout.map(\.name) }
      return (file.name, names.map { ($0, file.layout.byteRange(of: $0)?.count ?? 0) })
    }
  }

  private static func fileName(_ number: Int, of count: Int) -> String {
    func padded(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - "\(value)".count)) + "\(value)" }
    return "masks-\(padded(number))-of-\(padded(count)).safetensors"
  }
}
