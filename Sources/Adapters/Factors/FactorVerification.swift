import Execution
import FactorCache
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
    let expected = record.tensors
    var report = Report(matrices: record.matrices.count, files: names.count)
    report.problems = try world.sharing {
      try stride(from: world.rank, to: names.count, by: world.size).flatMap { number in
        try checkFile(names[number], record, expected[names[number]] ?? .init())
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

  /// Checks size, digest and header of one factor file.
  private func checkFile(
    _ name: String, _ record: FactorRecord, _ expected: FactorRecord.Tensors
  ) throws -> [String] {
    let file = path.appending(name)
    guard let wanted = record.files[name] else { return [] }
    if let problem = wanted.problem(at: file, vouchedBy: FactorFiles.recordName) { return [problem] }
    do {
      let source = try SourceKind.pread.open(file)
      let header = try ShardHeader.read(from: source)
      return expected == FactorRecord.Tensors(header)
        ? []
        : [FactorFiles.wrongTensors(of: file)]
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
    let headers = try names.map { ($0, try ShardHeader.read(from: SourceKind.pread.open(path.appending($0)))) }
    return try FactorFiles.hasIndex(of: headers, record: text, in: path) ? [] : [FactorFiles.wrongIndex(in: path)]
  }
}
