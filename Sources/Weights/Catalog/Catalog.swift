import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The weight matrices of a checkpoint in their order, and where each lies.
///
/// Stored tensors and matrices are two lists: a tensor may hold several matrices, such as the experts of a stack or the parts of a fused
/// projection. What is written goes by a third list, ``outputs``. Stored tensor `up`, [2, m, n], with two experts gives
///
///     tensors   up              as the checkpoint names it
///     matrices  up[0]  up[1]    decomposed and scored one by one; their positions are the ordinals
///     outputs   up              one set of mask tensors, from ordinals 0 and 1
///
/// Invariants:
/// - Matrices are sorted by the UTF-8 bytes of their names, and no two have the same name. So ordinals depend neither on how tensors are
///   spread over shards nor on the number of ranks.
/// - Matrices and outputs follow from the tensors alone. Only shards, tensors and coverage travel between ranks.
/// - In a catalog that ``restricted(to:)`` made, positions in ``matrices`` count the chosen matrices in the order in which they were
///   chosen, and ``outputs`` is empty.
package struct Catalog: Sendable {
  /// A shard that holds some of the matrices, or some of their scales.
  package struct Shard: Codable, Sendable {
    /// The name in the checkpoint's folder.
    package let fileName: String
    /// The path by which to open the file.
    package let path: String
    /// The size in bytes, by which every rank checks that it sees the same file.
    package let size: Int
    /// The SHA-256 of the header with the eight bytes before it, as rank 0 has read them, in hexadecimal digits.
    package let headerDigest: String

    package init(_ shard: ShardIO.Shard) {
      fileName = shard.fileName
      path = shard.path.string
      size = shard.header.fileSize
      headerDigest = shard.header.digest.hexadecimal
    }
  }

  /// A stored tensor that holds one or more of the matrices.
  package struct Tensor: Codable, Sendable {
    /// The checkpoint's name for the tensor.
    package let name: String
    /// The type in which its weights are stored.
    let dtype: DType
    /// The shape as stored.
    package let shape: [Int]
    /// The position of its shard in ``Catalog/shards``.
    package let shard: Int
    /// The position of its first byte in the shard.
    let offset: Int
    /// The number of bytes it takes in the shard.
    let byteCount: Int
    /// How the tensor is cut into matrices.
    package let content: MatrixContent
  }

  /// A weight matrix, m × n.
  package struct Matrix: Sendable {
    /// The name of its tensor, followed by `[e]` for expert e of a stack and by `[part]` for a part of a fused tensor.
    package let name: String
    /// The type in which its weights are stored.
    package let dtype: DType
    /// The number of rows, m.
    package let rows: Int
    /// The number of columns, n.
    package let columns: Int
    /// The position of its shard in ``Catalog/shards``.
    package let shard: Int
    /// The position of its first byte in the shard; for a part, that of the stored matrix which the part belongs to.
    package let offset: Int
    /// The number of bytes it takes in the shard; for a part, those of the stored matrix which the part belongs to.
    package let byteCount: Int
    /// The position of its tensor in ``Catalog/tensors``.
    package let tensor: Int
    /// The position of the expert in its stack, from 0; nil if the tensor is no stack.
    package let expert: Int?
    /// The part of a fused tensor that it is, such as `q`; nil if the tensor was not split.
    package let part: String?
    /// Where its elements lie in the stored tensor.
    package let slice: TensorSlice

    /// Describes a stored tensor of rank 2 that is taken whole.
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

    /// The name without `.weight`, which is how frameworks call the module.
    package var moduleName: String { name.hasSuffix(".weight") ? String(name.dropLast(7)) : name }
    /// The number of weights, m·n.
    package var size: Int { rows * columns }
    /// min(m, n), the order of the matrix's Gram matrix.
    package var order: Int { min(rows, columns) }
  }

  /// What is written under one name: the masks of one matrix, or of all experts of a stack.
  package struct Output: Sendable {
    /// The stored tensor's name, followed by `[part]` if it was split.
    package let name: String
    /// The position of the tensor in ``Catalog/tensors``.
    package let tensor: Int
    /// The ordinals of its matrices, in the order in which the tensor holds them.
    package let ordinals: [Int]
  }

  /// The shards; those of a checkpoint are sorted by the bytes of their file names.
  package let shards: [Shard]
  /// The stored tensors, sorted by the bytes of their names.
  package let tensors: [Tensor]
  /// The matrices, sorted by the bytes of their names. The position of a matrix here is its **ordinal**, which decides ties.
  package let matrices: [Matrix]
  /// The outputs in the order of ``tensors``; the parts of one tensor follow each other in their order.
  package let outputs: [Output]
  /// How much of the checkpoint the matrices are, and what was left out.
  package let coverage: Coverage

  /// Cuts the tensors into their matrices.
  ///
  /// - Parameters:
  ///   - shards: the files, to whose positions the tensors refer.
  ///   - tensors: the stored tensors, sorted by the bytes of their names.
  ///   - coverage: what all tensors of the checkpoint are.
  /// - Throws: ``RunFailure`` if two matrices would have the same name.
  package init(shards: [Shard], tensors: [Tensor], coverage: Coverage = Coverage()) throws(RunFailure) {
    self.coverage = coverage
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

  /// A catalog of the same checkpoint that holds only some of its matrices.
  ///
  /// - Parameter ordinals: the positions of these matrices in ``matrices``, each once, in the order that they get.
  package func restricted(to ordinals: [Int]) -> Catalog { Catalog(self, matrices: ordinals.map { matrices[$0] }) }

  private init(_ whole: Catalog, matrices: [Matrix]) {
    shards = whole.shards
    tensors = whole.tensors
    self.matrices = matrices
    outputs = []
    coverage = whole.coverage
  }

  /// The file and name of a matrix, with which a message begins.
  package func place(of matrix: Matrix) -> String {
    "\(shown(FilePath(shards[matrix.shard].path))): tensor \(quoted(matrix.name))"
  }

  /// The names of all matrices, by ordinal.
  package var names: [String] { matrices.map(\.name) }

  /// N, the number of weights in all matrices.
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

/// `[label]`, or an empty text if there is no label.
private func bracketed<Label>(_ label: Label?) -> String { label.map { "[\($0)]" } ?? "" }

extension Catalog.Tensor {
  /// Describes a tensor that holds matrices.
  ///
  /// - Parameters:
  ///   - shard: the position of its shard in ``Catalog/shards``.
  ///   - shape: the tensor's own shape, or that with further dimensions of 1.
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

  /// The same stored tensor, cut into other matrices.
  init(_ tensor: Self, content: MatrixContent) {
    (name, dtype, shape) = (tensor.name, tensor.dtype, tensor.shape)
    (shard, offset, byteCount) = (tensor.shard, tensor.offset, tensor.byteCount)
    self.content = content
  }

  /// The matrices in the tensor, those of one expert after the other.
  ///
  /// - Parameter number: the position of the tensor in ``Catalog/tensors``.
  func matrices(number: Int) -> [Catalog.Matrix] {
    // A weight takes whole bytes: types that pack several weights in a byte cannot be decoded.
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

// Matrices and outputs follow from the tensors, so they do not travel between ranks.
extension Catalog: Codable {
  private enum CodingKeys: CodingKey {
    case shards, tensors, coverage
  }

  /// Reads the shards and tensors that another rank has encoded, and cuts the tensors into matrices.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      shards: values.decode([Shard].self, forKey: .shards), tensors: values.decode([Tensor].self, forKey: .tensors),
      coverage: values.decode(Coverage.self, forKey: .coverage))
  }

  /// Writes the shards, the tensors and the coverage.
  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(shards, forKey: .shards)
    try values.encode(tensors, forKey: .tensors)
    try values.encode(coverage, forKey: .coverage)
  }
}
