import RunCore
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// What a run works on: the matrices of a checkpoint in their order, and where each lies.
package struct Catalog: Sendable {
  /// A shard that holds some of the matrices, or of their scales.
  package struct Shard: Codable, Sendable {
    /// Its name in the checkpoint's folder.
    package let fileName: String
    /// Where to open it.
    package let path: String
    /// Bytes; every rank checks that it sees the same file.
    package let size: Int
    /// The SHA-256 of its header with the eight bytes before it, as rank 0 has read them, in hexadecimal digits.
    package let headerDigest: String

    /// A shard as it was read.
    package init(_ shard: ShardIO.Shard) {
      fileName = shard.fileName
      path = shard.path.string
      size = shard.header.fileSize
      headerDigest = shard.header.digest.hexadecimal
    }
  }

  /// A stored tensor that holds one or more of the matrices.
  package struct Tensor: Codable, Sendable {
    /// The checkpoint's name for it.
    package let name: String
    /// How its weights are stored.
    let dtype: DType
    /// As stored.
    package let shape: [Int]
    /// Position in ``Catalog/shards``.
    package let shard: Int
    /// First byte in the shard.
    let offset: Int
    /// Bytes in the shard.
    let byteCount: Int
    /// The matrices in it.
    package let content: MatrixContent
  }

  /// A weight matrix, m × n.
  package struct Matrix: Sendable {
    /// The checkpoint's name for it; in a stack and in a split tensor followed by `[e]`, `[part]`.
    package let name: String
    /// How its weights are stored.
    package let dtype: DType
    /// m.
    package let rows: Int
    /// n.
    package let columns: Int
    /// Position in ``Catalog/shards``.
    package let shard: Int
    /// First byte in the shard, of what it is a part of if it is one.
    package let offset: Int
    /// Bytes in the shard, of what it is a part of if it is one.
    package let byteCount: Int
    /// Position in the catalog's list of stored tensors.
    package let tensor: Int
    /// The expert's position in a stack.
    package let expert: Int?
    /// What it is of a fused tensor.
    package let part: String?
    /// Where its elements lie in the stored tensor.
    package let slice: TensorSlice

    /// A stored tensor of rank 2, taken whole.
    init(name: String, dtype: DType, rows: Int, columns: Int, shard: Int, offset: Int, byteCount: Int) {
      self.init(
        name: name, dtype: dtype, rows: rows, columns: columns, shard: shard, offset: offset, byteCount: byteCount,
        tensor: 0, expert: nil, part: nil, slice: TensorSlice(whole: rows, columns: columns))
    }

    fileprivate init(
      name: String, dtype: DType, rows: Int, columns: Int, shard: Int, offset: Int, byteCount: Int, tensor: Int,
      expert: Int?, part: String?, slice: TensorSlice
    ) {
      (self.name, self.dtype, self.rows, self.columns) = (name, dtype, rows, columns)
      (self.shard, self.offset, self.byteCount) = (shard, offset, byteCount)
      (self.tensor, self.expert, self.part, self.slice) = (tensor, expert, part, slice)
    }

    /// The name without `.weight`, as frameworks call the module.
    package var moduleName: String { name.hasSuffix(".weight") ? String(name.dropLast(7)) : name }
    /// m·n.
    package var size: Int { rows * columns }
    /// min(m, n), the order of its Gram matrix.
    package var order: Int { min(rows, columns) }
  }

  /// What is written under one name: the masks of one matrix, or of all experts of a stack.
  package struct Output: Sendable {
    /// The stored tensor's name, followed by `[part]` if it was split.
    package let name: String
    /// Position in the list of stored tensors.
    package let tensor: Int
    /// Of its matrices, in their order in the tensor.
    package let ordinals: [Int]
  }

  /// In byte-wise order of file name.
  package let shards: [Shard]
  /// In byte-wise order of name.
  package let tensors: [Tensor]
  /// In byte-wise order of name: the position here is the **ordinal**, which decides ties.
  package let matrices: [Matrix]
  /// In the order of ``tensors``, the parts of one in their order.
  package let outputs: [Output]

  /// Cuts the tensors into their matrices.
  ///
  /// - Throws: ``RunFailure`` if two matrices would have one name.
  package init(shards: [Shard], tensors: [Tensor]) throws(RunFailure) {
    self.shards = shards
    self.tensors = tensors
    var matrices: [Matrix] = []
    for (number, tensor) in tensors.enumerated() { matrices += tensor.matrices(number: number) }
    matrices.sort { Checkpoint.bytewiseLess($0.name, $1.name) }
    for (first, second) in zip(matrices, matrices.dropFirst()) where ExactName(first.name) == ExactName(second.name) {
      throw RunFailure(
        .data,
        "two matrices would be called \(quoted(first.name)): in tensor \(quoted(tensors[first.tensor].name)) and in tensor "
          + "\(quoted(tensors[second.tensor].name)); leave one out with --exclude")
    }
    self.matrices = matrices
    outputs = Self.outputs(of: matrices, in: tensors)
  }

  /// The same checkpoint, as if some of its matrices were all.
  package func restricted(to ordinals: [Int]) -> Catalog { Catalog(self, matrices: ordinals.map { matrices[$0] }) }

  private init(_ whole: Catalog, matrices: [Matrix]) {
    shards = whole.shards
    tensors = whole.tensors
    self.matrices = matrices
    outputs = []
  }

  /// File and name of a matrix, as a message begins.
  package func place(of matrix: Matrix) -> String {
    "\(shown(FilePath(shards[matrix.shard].path))): tensor \(quoted(matrix.name))"
  }

  /// The names of all matrices, by ordinal.
  package var names: [String] { matrices.map(\.name) }

  /// N: the weights of all matrices.
  package var weightCount: Int { matrices.reduce(0) { $0 + $1.size } }

  private static func outputs(of matrices: [Matrix], in tensors: [Tensor]) -> [Output] {
    var ordinals = tensors.map { [[Int]](repeating: [], count: $0.content.parts.count) }
    let inTensorOrder = matrices.indices.sorted {
      (matrices[$0].tensor, matrices[$0].expert ?? 0) < (matrices[$1].tensor, matrices[$1].expert ?? 0)
    }
    for ordinal in inTensorOrder {
      let matrix = matrices[ordinal]
      let part = tensors[matrix.tensor].content.parts.firstIndex { $0.label == matrix.part } ?? 0
      ordinals[matrix.tensor][part].append(ordinal)
    }
    return tensors.enumerated().flatMap { number, tensor in
      zip(tensor.content.parts, ordinals[number]).map { part, ordinals in
        Output(name: tensor.name + bracketed(part.label), tensor: number, ordinals: ordinals)
      }
    }
  }
}

/// `[label]`, or nothing.
private func bracketed<Label>(_ label: Label?) -> String { label.map { "[\($0)]" } ?? "" }

extension Catalog.Tensor {
  /// A tensor that counts.
  ///
  /// - Parameter shape: its own, or with dimensions of 1 more.
  package init(_ tensor: CheckpointTensor, shard: Int, shape: [Int], content: MatrixContent) {
    let info = tensor.info
    name = info.name
    dtype = info.dtype
    self.shape = shape
    self.shard = shard
    offset = info.byteRange.lowerBound
    byteCount = info.byteRange.count
    self.content = content
  }

  /// The matrices in the tensor.
  func matrices(number: Int) -> [Catalog.Matrix] {
    // Whole bytes: packed types are not decodable.
    let slabBytes = byteCount / max(content.experts ?? 1, 1)
    return (0..<(content.experts ?? 1)).flatMap { slab in
      content.parts.map { part in
        let expert = content.experts == nil ? nil : slab
        return Catalog.Matrix(
          name: name + bracketed(expert) + bracketed(part.label), dtype: dtype, rows: part.rows.total,
          columns: part.columns.total, shard: shard, offset: offset + slab * slabBytes, byteCount: slabBytes,
          tensor: number, expert: expert, part: part.label,
          slice: TensorSlice(
            storedRows: content.rows, storedColumns: content.columns, slab: slab, rows: part.rows,
            columns: part.columns))
      }
    }
  }
}

// Matrices and outputs follow from the tensors, so only these travel between ranks.
extension Catalog: Codable {
  private enum CodingKeys: CodingKey {
    case shards, tensors
  }

  /// Reads what another rank has encoded.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      shards: values.decode([Shard].self, forKey: .shards), tensors: values.decode([Tensor].self, forKey: .tensors))
  }

  /// Shards and tensors.
  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(shards, forKey: .shards)
    try values.encode(tensors, forKey: .tensors)
  }
}
