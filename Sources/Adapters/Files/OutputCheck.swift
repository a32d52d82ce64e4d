import Execution
import MPI
import RunCore
import ShardIO
import SystemPackage
import Weights

extension Communicator {
  /// What all ranks together have to say, in the order of ranks, on every rank.
  ///
  /// Collective: every rank calls it.
  func sharing(_ check: () throws -> [String]) throws -> [String] {
    let own = try agreeing(check)
    return try allGather(Array(own.joined(separator: "\n").utf8)).flatMap {
      String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init)
    }
  }

  /// Reads all weights of a checkpoint, and compares their fingerprint with a recorded one.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter what: a word for the results.
  /// - Returns: the problem, if there is one.
  func comparing(
    _ source: CheckpointSource, of tensors: TensorParameters, with checkpoint: FilePath, io: SourceKind, what: String
  ) throws -> [String] {
    let catalog: Catalog
    do {
      catalog = try Catalog.load(checkpoint, io: io, options: tensors.catalogOptions, world: self) { _ in }
    } catch let failure as RunFailure where failure.kind == .usage {
      // A pattern of the run that matches nothing here means that this is another checkpoint.
      return [failure.message]
    }
    let norms = try Norms.measure(catalog, shards: OpenShards(catalog, io: io), world: self) { _ in }
    guard norms.fingerprint == source.fingerprint else {
      return ["\(shown(checkpoint)): its fingerprint is \(norms.fingerprint), the \(what) are of \(source.fingerprint)"]
    }
    return []
  }
}
