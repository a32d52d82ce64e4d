import Execution
import FactorCache
import MPI
import RunCore
import ShardIO
import SystemPackage

/// Checks an output folder of `export` against itself and, if asked, against its checkpoint.
package struct ExportVerification {
  private let world: Communicator
  private let path: FilePath

  /// - Parameter path: the path of the output folder.
  package init(_ path: FilePath, on world: Communicator) {
    self.path = path
    self.world = world
  }

  /// What has been checked, and what is wrong with it.
  package struct Report {
    /// The number of methods.
    package var methods = 0
    /// The number of files.
    package var files = 0
    /// The problems, a line each; none if all is well.
    package var problems: [String] = []
  }

  /// Checks every byte of every file except `run.json`. The ranks share the files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter checkpoint: the checkpoint that the adapters should be for; nil if that is not asked.
  /// - Throws: ``RunFailure`` if there is no output to check.
  package func run(checkpoint: FilePath?, io: SourceKind) throws -> Report {
    let record = try ExportFiles.decode(world.fromRoot { try ExportFiles.read(in: path).text }, in: path)
    let files = record.files.sorted { ExactName($0.key) < ExactName($1.key) }
    var report = Report(methods: record.parameters.methods.count, files: files.count)
    // 1. The files, and what a reader would take for some.
    report.problems = try world.sharing {
      stride(from: world.rank, to: files.count, by: world.size).compactMap { number in
        files[number].value.problem(at: path.pushing(FilePath(files[number].key)), vouchedBy: ExportFiles.recordName)
      } + (world.isRoot ? strayFiles(record) : [])
    }
    // 2. The tensors, which are those that the record says.
    if report.problems.isEmpty {
      report.problems = try world.sharing {
        try world.isRoot ? record.parameters.methods.flatMap { try checkTensors(of: $0, record) } : []
      }
    }
    // 3. The checkpoint.
    if report.problems.isEmpty, let checkpoint {
      report.problems += try world.comparing(
        record.checkpoint, of: record.parameters.tensors, with: checkpoint, io: io, what: "adapters")
    }
    return report
  }

  /// Files of weights that the record does not name, in the folders where others look for such files.
  private func strayFiles(_ record: ExportRecord) -> [String] {
    record.parameters.methods.flatMap { method in
      let base = record.parameters.bases.contains(method) ? [method.rawValue] : []
      let adapter = ExportFiles.adapterFolder(of: method, hasBase: !base.isEmpty)
      return (base + [adapter]).flatMap { folder in
        ((try? Folder.names(in: path.pushing(FilePath(folder)))) ?? []).filter { name in
          name.hasSuffix(".safetensors") && (folder != adapter || ExportFiles.isAdapter(name))
            && record.files["\(folder)/\(name)"] == nil
        }.map { "\(shown(path.pushing(FilePath(folder)).appending($0))): not a file of this run" }
      }
    }
  }

  /// Compares the headers of a method's adapter with what the record says of its matrices.
  private func checkTensors(of method: ExportMethod, _ record: ExportRecord) throws -> [String] {
    let folder = ExportFiles.adapterFolder(of: method, hasBase: record.parameters.bases.contains(method))
    let name = shown(path.appending(ExportFiles.recordName))
    guard let expected = record.tensors(of: method) else { return ["\(name): a rank or shape is not possible"] }
    var found: [ExactName: ShardLayout.Tensor] = [:]
    for file in record.files.keys where file.hasPrefix(folder + "/") {
      guard ExportFiles.isAdapter(String(file.dropFirst(folder.utf8.count + 1))) else { continue }
      do {
        for tensor in try ShardHeader.read(from: SourceKind.pread.open(path.pushing(FilePath(file)))).tensors {
          found[ExactName(tensor.name)] = ShardLayout.Tensor(
            name: tensor.name, dtype: tensor.dtype, shape: Array(tensor.shape))
        }
      } catch let error as SourceError {
        return ["\(error)"]
      } catch {
        return [RunFailure(error).message]
      }
    }
    let agree =
      found.count == expected.count
      && expected.allSatisfy { tensor in
        found[ExactName(tensor.name)].map { $0.dtype == tensor.dtype && $0.shape == tensor.shape } ?? false
      }
    return agree
      ? []
      : [
        "\(shown(path.pushing(FilePath(folder)))): its tensors are not those of the matrices in \(ExportFiles.recordName)"
      ]
  }
}

extension ExportRecord {
  /// The tensors that the adapter of a method has by the record; nil if a shape or rank in it cannot be.
  fileprivate func tensors(of method: ExportMethod) -> [ShardLayout.Tensor]? {
    guard method != .smt else { return blockTensors }
    let own = matrices.compactMap { matrix in matrix.methods[method.rawValue].map { (matrix, $0.rank ?? 0) } }
    guard (0...SparseEntries.mostDiagonals).contains(parameters.entries.diagonals) else { return nil }
    var tensors: [ShardLayout.Tensor] = []
    for (matrix, rank) in own {
      // Sides that fit 31 bits keep products of them from overflowing.
      guard matrix.shape.count == 2, matrix.shape.allSatisfy({ (1...Int(Int32.max)).contains($0) }),
        (1...min(matrix.shape[0], matrix.shape[1])).contains(rank)
      else { return nil }
      let target = ExportTarget(
        ordinal: 0, tensor: matrix.name, module: matrix.module, isTransposed: matrix.isTransposed,
        isNamedAsExpert: false, rows: matrix.shape[0], columns: matrix.shape[1])
      let form = method.form(
        MethodTarget(
          target: target, rank: rank, largestRank: rank, scale: 1, keepsBase: parameters.keepsBase,
          dtype: parameters.dtype.stored), parameters.entries)
      tensors += form.tensors.map(\.layout)
    }
    return tensors + (method == .tinylora ? own.indices.map(TinyLoRA.values) : [])
  }

  /// The tensors that say which blocks SMT trains; nil if a number of blocks in the record cannot be.
  private var blockTensors: [ShardLayout.Tensor]? {
    var tensors: [ShardLayout.Tensor] = []
    for matrix in matrices {
      guard let count = matrix.methods[ExportMethod.smt.rawValue]?.blocks, count >= 0 else { return nil }
      if count > 0 { tensors.append(ChosenBlocks.tensor(of: matrix.name, count: count)) }
    }
    return tensors
  }
}
