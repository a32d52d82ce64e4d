import DistSVD
import Execution
import FoundationEssentials
import RunCore
import ShardIO
import SystemPackage
import Weights

/// `factors.json`: what was asked, of which checkpoint, and how good the factors are.
///
/// Equal inputs and parameters give equal bytes.
package struct FactorRecord: Codable, Sendable {
  /// The word by which the format is recognized.
  package static let formatName = "frog-factors"
  /// The version of the format. It is raised when a reader of the old version would misread the new one.
  package static let currentFormatVersion = 1
  /// The value of ``signs``, which names the rule of ``DistSVD/ThinSVD``.
  static let signRule = "largest-of-v-positive"

  /// The name of the format: always ``formatName``.
  package var format = Self.formatName
  /// The version of the format that the document has: ``currentFormatVersion`` of its writer.
  package var formatVersion = Self.currentFormatVersion
  /// The version of the program that wrote the document.
  package var version: String
  /// Every parameter that shapes the result.
  package var parameters: RunParameters<FactorChoice>
  /// The checkpoint that was decomposed.
  package var checkpoint: CheckpointSource
  /// How much of the checkpoint its weight matrices are, and what was left out.
  package var coverage: Coverage
  /// The rule that gives each pair of vectors its sign: the component of largest magnitude of v_k is positive.
  package var signs = Self.signRule
  /// The weight matrices, by ordinal.
  package var matrices: [Matrix]
  /// The factor files, by name.
  package var files: [String: RecordedFile]

  /// The factors of one weight matrix.
  package struct Matrix: Codable, Sendable {
    /// The name of the matrix in the checkpoint.
    package var name: String
    /// The numbers of rows and columns, m and n.
    package var shape: [Int]
    /// The type in which the checkpoint stores the weights.
    package var dtype: String
    /// The tensor of the checkpoint that holds it.
    package var tensor: String
    /// The part of that tensor that the matrix is; nil if it is all of it.
    @ExplicitNull package var slice: RecordedSlice?
    /// The name of the factor file.
    package var file: String
    /// The number of triplets, r.
    package var rank: Int
    /// How the matrix was decomposed: `local` or `team of 4`, followed by `, QR` where the Gram matrix did not resolve all values.
    package var solver: String
    /// The Frobenius norm ‖W‖_F.
    package var norm: Double
    /// ‖W − U·Σ·Vᵀ‖_F ÷ ‖W‖_F of the factors as stored; 0 for a matrix of zeros.
    package var residual: Double
    /// ‖UᵀU − I‖_F of U as stored.
    package var leftError: Double
    /// ‖VᵀV − I‖_F of V as stored.
    package var rightError: Double

    package init(
      name: String, shape: [Int], dtype: String, tensor: String, slice: RecordedSlice?, file: String, rank: Int,
      solver: String, norm: Double, residual: Double, leftError: Double, rightError: Double
    ) {
      (self.name, self.shape, self.dtype, self.tensor) = (name, shape, dtype, tensor)
      (self.file, self.rank, self.solver, self.norm) = (file, rank, solver, norm)
      (self.residual, self.leftError, self.rightError) = (residual, leftError, rightError)
      self.slice = slice
    }

    enum CodingKeys: String, CodingKey {
      case name, shape, dtype, tensor, slice, file, rank, solver, norm, residual
      case leftError = "u_error"
      case rightError = "v_error"
    }
  }

  enum CodingKeys: String, CodingKey {
    case format, version, parameters, checkpoint, coverage, signs, matrices, files
    case formatVersion = "format_version"
  }

  /// Describes factors.
  package init(
    version: String, parameters: RunParameters<FactorChoice>, checkpoint: CheckpointSource, coverage: Coverage,
    matrices: [Matrix], files: [String: RecordedFile]
  ) {
    self.version = version
    self.parameters = parameters
    self.checkpoint = checkpoint
    self.coverage = coverage
    self.matrices = matrices
    self.files = files
  }
}

extension FactorRecord {
  /// The names, types and shapes of the tensors in one factor file.
  package struct Tensors: Equatable {
    private var tensors: [ExactName: Tensor] = [:]

    private struct Tensor: Equatable {
      let dtype: DType
      let shape: [Int]
    }

    /// No tensors.
    package init() {}

    /// The tensors that a header lists.
    package init(_ header: ShardHeader) {
      for tensor in header.tensors {
        tensors[ExactName(tensor.name)] = Tensor(dtype: tensor.dtype, shape: Array(tensor.shape))
      }
    }

    fileprivate mutating func add(_ factors: FactorTensors, _ dtype: FactorType) {
      for tensor in factors.layout(dtype) {
        tensors[ExactName(tensor.name)] = Tensor(dtype: tensor.dtype, shape: tensor.shape)
      }
    }
  }

  /// The tensors that each factor file should hold.
  package var tensors: [String: Tensors] {
    var tensors: [String: Tensors] = [:]
    var experts: [String: Int] = [:]
    for matrix in matrices where matrix.shape.count == 2 {
      let name = matrix.tensor + (matrix.slice?.part.map { "[\($0)]" } ?? "")
      if matrix.slice?.expert != nil { experts[name, default: 0] += 1 }
      let factors = FactorTensors(
        name: name, rows: matrix.shape[0], columns: matrix.shape[1], experts: experts[name], count: matrix.rank)
      tensors[matrix.file, default: Tensors()].add(factors, parameters.dtype)
    }
    return tensors
  }
}
