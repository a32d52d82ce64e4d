import Execution
import MPI
import RunCore
import ShardIO
import SystemPackage
import Weights

/// Checks an output folder of `factor` against itself and, if asked, against its checkpoint.
package struct FactorVerification {
  private let world: Communicator
  private let path: FilePath

  /// - Parameter path: the path of the output folder.
  package init(_ path: FilePath, on world: Communicator) {
    self.path = path
    self.world = world
  }

  /// What has been checked, and what is wrong with it.
  package struct Report {
    /// The number of matrices.
    package var matrices = 0
    /// The number of factor files.
    package var files = 0
    /// The problems, a line each; none if all is well.
    package var problems: [String] = []
  }

  /// Checks every byte of every file except `run.json`. The ranks share the factor files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter checkpoint: the checkpoint that the factors should be of; nil if that is not asked.
  /// - Throws: ``RunFailure`` if there is no output to check.
  package func run(checkpoint: FilePath?, io: SourceKind) throws -> Report {
    let text = try world.fromRoot { try FactorFiles.read(in: path).text }
    let record = try FactorFiles.decode(text, in: path)
    let names = record.files.keys.sorted(by: Checkpoint.bytewiseLess)
    // 1. The files, each with the tensors that the record says.
    let expected = Self.tensors(of: record)
    var report = Report(matrices: record.matrices.count, files: names.count)
    report.problems = try world.sharing {
      try stride(from: world.rank, to: names.count, by: world.size).flatMap { number in
        try checkFile(names[number], record, expected[names[number]] ?? [:])
      } + (world.isRoot ? strayFiles(record) : [])
    }
    // 2. The index, which is made from the headers and vouches for the record.
    if report.problems.isEmpty {
      report.problems = try world.sharing { world.isRoot ? try checkIndex(names, text) : [] }
    }
    // 3. The checkpoint.
    if report.problems.isEmpty, let checkpoint {
      report.problems += try world.comparing(
        record.checkpoint, of: record.parameters.tensors, with: checkpoint, io: io, what: "factors")
    }
    return report
  }

  /// The names, types and shapes of the tensors that each file should hold.
  private static func tensors(of record: FactorRecord) -> [String: [String: (dtype: DType, shape: [Int])]] {
    var tensors: [String: [String: (dtype: DType, shape: [Int])]] = [:]
    var experts: [String: Int] = [:]
    for matrix in record.matrices where matrix.shape.count == 2 {
      let name = matrix.tensor + (matrix.slice?.part.map { "[\($0)]" } ?? "")
      if matrix.slice?.expert != nil { experts[name, default: 0] += 1 }
      let factors = FactorTensors(
        name: name, rows: matrix.shape[0], columns: matrix.shape[1], experts: experts[name], count: matrix.rank)
      for tensor in factors.layout(record.parameters.dtype) {
        tensors[matrix.file, default: [:]][tensor.name] = (tensor.dtype, tensor.shape)
      }
    }
    return tensors
  }

  /// Checks size, digest and header of one factor file.
  private func checkFile(
    _ name: String, _ record: FactorRecord, _ expected: [String: (dtype: DType, shape: [Int])]
  ) throws -> [String] {
    let file = path.appending(name)
    guard let wanted = record.files[name] else { return [] }
    let problem = wanted.problem(at: file, vouchedBy: FactorFiles.recordName)
    guard problem == nil else { return [problem ?? ""] }
    do {
      let source = try SourceKind.pread.open(file)
      let header = try ShardHeader.read(from: source)
      let agree =
        header.tensors.count == expected.count
        && header.tensors.allSatisfy { tensor in
          expected[tensor.name].map { $0.dtype == tensor.dtype && $0.shape == Array(tensor.shape) } ?? false
        }
      return agree ? [] : ["\(shown(file)): its tensors are not those of the matrices in \(FactorFiles.recordName)"]
    } catch let error as SourceError {
      return ["\(error)"]
    } catch {
      return [RunFailure(error).message]
    }
  }

  private func strayFiles(_ record: FactorRecord) -> [String] {
    ((try? Folder.names(in: path)) ?? []).filter { FactorFiles.isFactors($0) && record.files[$0] == nil }
      .map { "\(shown(path.appending($0))): not a file of this run" }
  }

  private func checkIndex(_ names: [String], _ text: [UInt8]) throws -> [String] {
    let files = try names.map { name in
      let header = try ShardHeader.read(from: SourceKind.pread.open(path.appending(name)))
      return (name: name, tensors: header.tensors.map { (name: $0.name, byteCount: $0.byteRange.count) })
    }
    let file = path.appending(FactorFiles.indexName)
    guard try Document.contents(of: file) == FactorFiles.index(files, record: text) else {
      return [
        "\(shown(file)): it is not the index of these files and this \(FactorFiles.recordName); one of the two has changed"
      ]
    }
    return []
  }
}
