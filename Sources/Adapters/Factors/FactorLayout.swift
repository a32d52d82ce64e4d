import FactorCache
import RunCore
import ShardIO
import Weights

/// The place of every byte of the factors, which all ranks know once the headers are read.
///
/// Invariant: all ranks compute the same layout, and the places of two matrices never overlap. So ranks write without asking each other.
///
/// A checkpoint with weight matrices in two shards gets the files `factors-00001-of-00002.safetensors` and
/// `factors-00002-of-00002.safetensors`.
package struct FactorLayout: Sendable {
  struct File: Sendable {
    let name: String
    let layout: ShardLayout
    /// The tensors of every matrix or stack in the file.
    let tensors: [FactorTensors]
  }

  /// Where the factors of one matrix lie in their file, in bytes from its start.
  struct Place: Sendable {
    /// The position of the file in ``FactorLayout/files``.
    let file: Int
    let left: Int
    let values: Int
    let right: Int
    let rows: Int
    let columns: Int
    /// The number of triplets.
    let count: Int
  }

  let dtype: FactorType
  /// The files, one for each shard that holds weight matrices.
  let files: [File]
  /// The places of the factors of every matrix, by ordinal.
  let places: [Place]

  /// - Throws: ``RunFailure`` if the factors of a shard do not fit one file.
  package init(_ catalog: Catalog, _ choice: FactorChoice) throws(RunFailure) {
    dtype = choice.dtype
    let shardOfOutput = catalog.outputs.map { catalog.tensors[$0.tensor].shard }
    // A shard may hold scales alone, and then has no factors.
    let shards = Set(shardOfOutput).sorted()
    let inShard = Dictionary(grouping: catalog.outputs.indices) { shardOfOutput[$0] }
    var files: [File] = []
    var places = [Place?](repeating: nil, count: catalog.matrices.count)
    for (number, shard) in shards.enumerated() {
      let outputs = (inShard[shard] ?? []).map { catalog.outputs[$0] }
      let tensors = outputs.map { FactorTensors($0, in: catalog, choice) }
      let layout: ShardLayout
      do {
        layout = try ShardLayout(tensors: tensors.flatMap { $0.layout(choice.dtype) }, metadata: ["format": "pt"])
      } catch {
        throw RunFailure(
          .data, "the factors of \(quoted(catalog.shards[shard].fileName)) do not fit one file: \(error)")
      }
      for (output, tensors) in zip(outputs, tensors) {
        for (expert, ordinal) in output.ordinals.enumerated() {
          places[ordinal] = Place(tensors, expert: expert, in: layout, file: number, dtype: choice.dtype)
        }
      }
      files.append(File(name: Self.fileName(number + 1, of: shards.count), layout: layout, tensors: tensors))
    }
    self.files = files
    self.places = places.compactMap { $0 }
    guard self.places.count == catalog.matrices.count else {
      throw RunFailure(.internal, "\(self.places.count) of \(catalog.matrices.count) matrices have a place for factors")
    }
  }

  /// The bytes of all files.
  package var bytes: Int { files.reduce(0) { $0.addingSaturated($1.layout.fileSize) } }

  /// The files by name, with the tensors in each and their sizes in bytes.
  var contents: [(name: String, tensors: [(name: String, byteCount: Int)])] {
    files.map { file in
      let names = file.tensors.flatMap { $0.layout(dtype).map(\.name) }
      return (file.name, names.map { ($0, file.layout.byteRange(of: $0)?.count ?? 0) })
    }
  }

  private static func fileName(_ number: Int, of count: Int) -> String {
    func padded(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - "\(value)".count)) + "\(value)" }
    return "factors-\(padded(number))-of-\(padded(count)).safetensors"
  }
}

extension FactorTensors {
  init(_ output: Catalog.Output, in catalog: Catalog, _ choice: FactorChoice) {
    self.init(
      output, in: catalog, count: choice.count(order: output.ordinals.first.map { catalog.matrices[$0].order } ?? 0))
  }
}

extension FactorLayout.Place {
  /// The place of an expert's factors, or of the only matrix's; nil if the layout does not have the tensors.
  fileprivate init?(_ tensors: FactorTensors, expert: Int, in layout: ShardLayout, file: Int, dtype: FactorType) {
    guard let left = layout.byteRange(of: tensors.leftName), let values = layout.byteRange(of: tensors.valuesName),
      let right = layout.byteRange(of: tensors.rightName)
    else { return nil }
    let count = tensors.count
    self.file = file
    self.left = left.lowerBound + expert * tensors.rows * count * dtype.width
    self.values = values.lowerBound + expert * count * 4
    self.right = right.lowerBound + expert * count * tensors.columns * dtype.width
    (rows, columns, self.count) = (tensors.rows, tensors.columns, count)
  }

  /// The ranges of bytes of U, σ and Vᵀ.
  func ranges(_ dtype: FactorType) -> [Range<Int>] {
    [
      left..<left + rows * count * dtype.width, values..<values + count * 4,
      right..<right + count * columns * dtype.width,
    ]
  }
}
