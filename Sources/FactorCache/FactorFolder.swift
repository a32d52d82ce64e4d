import DistSVD
import Execution
import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The factors that a finished run of `factor` has stored of every matrix of a checkpoint.
///
///     let folder = try FactorFolder.open(path, for: catalog, io: .auto, world: world)     // headers
///     try folder.check(norms)                                                             // are they of these weights?
///     try folder.checkContents(on: world, watch) { _ in }                                   // every byte
///     let factors = try folder.factors(of: ordinal, squaredNorm: norms.squared[ordinal])
///
/// Invariant: every matrix of the catalog has factors of its shape, with at least one triplet, whose tensors lie inside their files.
package final class FactorFolder {
  /// The path as the user has given it.
  package let path: FilePath
  /// What was stored.
  package let source: FactorSource

  /// The fingerprint of the weights that were decomposed.
  private let fingerprint: String
  private let files: [String: RecordedFile]
  /// The number of triplets of each matrix, by ordinal of the checkpoint's catalog.
  private let counts: [Int]
  /// The tensors with factors, each a matrix or a stack of them.
  private let tensors: Catalog
  /// The positions of U, σ and Vᵀ of each matrix in ``tensors``, by ordinal of the checkpoint's catalog.
  private let places: [Place]
  private let shards: OpenShards

  private struct Place {
    let left: Int
    let values: Int
    let right: Int
  }

  /// What rank 0 tells the others.
  fileprivate struct Opening: Codable {
    let source: FactorSource
    let fingerprint: String
    let files: [String: RecordedFile]
    let counts: [Int]
    let tensors: Catalog
  }

  private init(_ path: FilePath, _ opening: Opening, for catalog: Catalog, io: SourceKind) throws {
    self.path = path
    source = opening.source
    fingerprint = opening.fingerprint
    files = opening.files
    counts = opening.counts
    tensors = opening.tensors
    shards = OpenShards(tensors, io: io)
    let positions = Dictionary(
      tensors.matrices.enumerated().map { (ExactName($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    var places = [Place?](repeating: nil, count: catalog.matrices.count)
    for output in catalog.outputs {
      let names = FactorTensors(output, in: catalog, count: counts[output.ordinals.first ?? 0])
      for ordinal in output.ordinals {
        let expert = catalog.matrices[ordinal].expert.map { "[\($0)]" } ?? ""
        guard let left = positions[ExactName(names.leftName + expert)],
          let values = positions[ExactName(names.valuesName + expert)],
          let right = positions[ExactName(names.rightName + expert)]
        else { continue }
        places[ordinal] = Place(left: left, values: values, right: right)
      }
    }
    self.places = places.compactMap { $0 }
    guard self.places.count == catalog.matrices.count else {
      throw RunFailure(.internal, "\(self.places.count) of \(catalog.matrices.count) matrices have a place for factors")
    }
  }

  /// Opens a folder for the matrices of `catalog`, and compares its record, its index and its headers. No factor is read.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure``, the same on every rank: `.noInput` if there is no such folder; `.data` if it is not finished, if its files
  ///   disagree, or if it does not hold just the matrices of `catalog`.
  package static func open(_ path: FilePath, for catalog: Catalog, io: SourceKind, world: Communicator) throws
    -> FactorFolder
  {
    let bytes = try world.fromRoot {
      Array(try JSONEncoder().encode(Opening(path, for: catalog, io: io)))
    }
    return try FactorFolder(path, JSONDecoder().decode(Opening.self, from: Data(bytes)), for: catalog, io: io)
  }

  /// Opens a folder in one process, for a plan.
  ///
  /// - Throws: what ``open(_:for:io:world:)`` throws.
  package static func open(_ path: FilePath, for catalog: Catalog) throws -> FactorFolder {
    try FactorFolder(path, Opening(path, for: catalog, io: .pread), for: catalog, io: .pread)
  }

  /// Refuses factors of other weights.
  ///
  /// - Parameter norms: the norms of the catalog for which the folder was opened.
  package func check(_ norms: Norms) throws(RunFailure) {
    guard norms.fingerprint == fingerprint else {
      throw RunFailure(
        .data,
        "\(shown(path)): the factors are of a checkpoint with the fingerprint \(fingerprint), this one has \(norms.fingerprint): "
          + "run frog-mpi factor on it")
    }
  }

  /// Refuses factors that hold fewer triplets of a matrix than are needed.
  ///
  /// - Parameters:
  ///   - catalog: the catalog for which the folder was opened.
  ///   - purpose: what needs them, with a verb.
  ///   - needed: the number of leading triplets that a matrix needs, at most min(m, n).
  package func require(
    of catalog: Catalog, for purpose: String, _ needed: (Catalog.Matrix) -> Int
  ) throws(RunFailure) {
    for (ordinal, matrix) in catalog.matrices.enumerated() where counts[ordinal] < needed(matrix) {
      let count = needed(matrix)
      throw RunFailure(
        .data,
        "\(shown(path)) holds the \(counts[ordinal]) leading triplets of tensor \(quoted(matrix.name)), and \(purpose) "
          + "\(count == matrix.order ? "all \(count)" : "\(count)"): run frog-mpi factor "
          + (count == matrix.order ? "without --rank" : "with --rank \(count) or more") + ", or leave --factors out")
    }
  }

  /// Compares the SHA-256 of every factor file with the record. The ranks share the files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter progress: is given the share of this rank's files that are done.
  package func checkContents(on world: Communicator, _ watch: StopWatch, progress: (Double) -> Void) throws {
    let names = files.keys.sorted(by: Checkpoint.bytewiseLess)
    try world.agreeing {
      for number in stride(from: world.rank, to: names.count, by: world.size) {
        try watch.check()
        defer { progress(Double(number + 1) / Double(names.count)) }
        let file = path.appending(names[number])
        guard try FileDigest.sha256(of: file).hexadecimal == files[names[number]]?.sha256 else {
          throw RunFailure(
            .data, RecordedFile.wrongDigest(of: file, vouchedBy: FactorFiles.recordName) + ": " + Self.remedy)
        }
      }
    }
  }

  static let remedy = "the factors are damaged; run frog-mpi factor again, with --overwrite"

  // MARK: Factors

  /// The number of triplets that are stored of a matrix, 1 to min(m, n).
  package func count(of ordinal: Int) -> Int { counts[ordinal] }

  /// The bytes of all factors.
  package var byteCount: Int { files.values.reduce(0) { $0.addingSaturated($1.bytes) } }

  /// Opens the factors of one matrix, and reads its singular values.
  ///
  /// - Parameters:
  ///   - ordinal: the ordinal of the matrix in the checkpoint's catalog.
  ///   - squaredNorm: ‖W‖²_F, to which the squares of all singular values add up.
  /// - Throws: ``RunFailure`` naming file and tensor if a value is no singular value, or all of them are not those of the matrix.
  package func factors(of ordinal: Int, squaredNorm: Double) throws -> MatrixFactors {
    let place = places[ordinal]
    let (left, right) = (tensors.matrices[place.left], tensors.matrices[place.right])
    let stored = tensors.matrices[place.values]
    let found = MatrixFactors(
      singularValues: try singularValues(stored),
      left: FactorPanels(try shards.panels(of: left), place: tensors.place(of: left)),
      right: FactorPanels(try shards.panels(of: right), place: tensors.place(of: right)))
    let sum = found.singularValues.reduce(0) { $0 + Double($1) * Double($1) }
    let least = found.count == min(found.left.rows, found.right.columns) ? squaredNorm * (1 - Self.tolerance) : 0
    guard squaredNorm == 0 || squaredNorm >= Self.leastSquaredNorm else {
      throw RunFailure(
        .data,
        "\(tensors.place(of: stored)): the singular values are smaller than single precision holds: leave --factors out, or the matrix "
          + "with --exclude")
    }
    guard sum >= least, sum <= squaredNorm * (1 + Self.tolerance) else {
      throw RunFailure(
        .data,
        "\(tensors.place(of: stored)): the squares of the singular values add up to \(sum), those of the weights to \(squaredNorm): "
          + Self.remedy)
    }
    return found
  }

  /// Gives back the memory that reading the factors of a matrix has taken.
  package func release(_ ordinal: Int) {
    for position in [places[ordinal].left, places[ordinal].right] {
      let matrix = tensors.matrices[position]
      (try? shards.source(matrix.shard))?.release(matrix.offset..<matrix.offset + matrix.byteCount)
    }
  }

  /// The squared norm below which single precision does not hold all digits of the singular values: 2^−160.
  private static let leastSquaredNorm = 0x1p-160

  /// The share of ‖W‖²_F by which Σσ² may be off: σ are known to 10⁻⁸·‖W‖_F, and rounded to single precision.
  private static let tolerance = 1e-6

  private func singularValues(_ matrix: Catalog.Matrix) throws -> [Float] {
    var values = [Float](repeating: 0, count: matrix.columns)
    let panels = try shards.panels(of: matrix)
    try values.withUnsafeMutableBufferPointer {
      try panels.read(rows: 0..<1, columns: 0..<matrix.columns, into: $0)
    }
    for (index, value) in values.enumerated() {
      let isFit = value.isFinite && value >= 0 && (index == 0 || value <= values[index - 1])
      guard isFit else {
        throw RunFailure(
          .data,
          "\(tensors.place(of: matrix)): the value at position \(index) is \(value); singular values are finite, not negative, and "
            + "descending: " + Self.remedy)
      }
    }
    return values
  }
}

extension FactorFolder.Opening {
  /// Reads what a folder says, and compares it with the matrices of a checkpoint.
  fileprivate init(_ path: FilePath, for catalog: Catalog, io: SourceKind) throws {
    // 1. The record, the files and the index that vouches for them agree.
    let (record, text) = try FactorFiles.read(in: path)
    let checkpoint = try Checkpoint.open(path, io: io)
    let headers = checkpoint.shards.map { (name: $0.fileName, header: $0.header) }
    let expected = record.tensors
    for (name, header) in headers {
      let file = path.appending(name)
      guard let recorded = record.files[name] else {
        throw RunFailure(.data, "\(shown(file)): not a file of this run")
      }
      if let problem = recorded.wrongSize(header.fileSize, of: file) {
        throw RunFailure(.data, problem + ": " + FactorFolder.remedy)
      }
      guard expected[name] == FactorRecord.Tensors(header) else {
        throw RunFailure(.data, FactorFiles.wrongTensors(of: file))
      }
    }
    guard headers.count == record.files.count, try FactorFiles.hasIndex(of: headers, record: text, in: path) else {
      throw RunFailure(.data, FactorFiles.wrongIndex(in: path))
    }
    // 2. The matrices are those of the checkpoint.
    let matches = try RecordedMatrices(record, in: path).matched(to: catalog)
    source = FactorSource(
      dtype: record.parameters.dtype, rank: record.parameters.rank, sha256: RecordedFile(text).sha256)
    fingerprint = record.checkpoint.fingerprint
    files = record.files
    counts = matches.map(\.rank)
    // 3. Their tensors, as matrices of a catalog.
    tensors = try Catalog(factors: checkpoint, record.parameters.dtype, of: catalog, counts: counts)
  }
}

extension Catalog {
  /// The factor tensors of all matrices of `catalog`, as matrices: U, σ and Vᵀ of each, those of a stack by expert.
  fileprivate init(
    factors checkpoint: Checkpoint, _ dtype: FactorType, of catalog: Catalog, counts: [Int]
  ) throws {
    let outputs = try catalog.outputs.map { output in
      let count = counts[output.ordinals.first ?? 0]
      guard output.ordinals.allSatisfy({ counts[$0] == count }) else {
        throw RunFailure(
          .data,
          "\(shown(checkpoint.path)): the matrices of tensor \(quoted(output.name)) have different numbers of triplets: "
            + FactorFolder.remedy)
      }
      return FactorTensors(output, in: catalog, count: count)
    }
    let stored = outputs.flatMap { factors in factors.layout(dtype).map { (factors.experts, $0) } }
      .sorted { Checkpoint.bytewiseLess($0.1.name, $1.1.name) }
    let tensors = try stored.map { experts, expected in
      guard let tensor = checkpoint.tensor(named: expected.name), tensor.info.dtype == expected.dtype,
        Array(tensor.info.shape) == expected.shape
      else {
        throw RunFailure(
          .data,
          "\(shown(checkpoint.path)) has no tensor \(quoted(expected.name)) that is \(expected.dtype.rawValue) \(expected.shape): "
            + FactorFolder.remedy)
      }
      // σ counts as a matrix of one row.
      let matrix = [1] + expected.shape.dropFirst(experts == nil ? 0 : 1)
      let (rows, columns) = (matrix[matrix.count - 2], matrix[matrix.count - 1])
      return Tensor(
        tensor, shard: tensor.shard, shape: (experts.map { [$0] } ?? []) + [rows, columns],
        content: MatrixContent(
          rows: rows, columns: columns, experts: experts,
          parts: [.init(label: nil, rows: .init(all: rows), columns: .init(all: columns))], scale: nil))
    }
    try self.init(shards: checkpoint.shards.map { Shard($0) }, tensors: tensors)
  }
}
