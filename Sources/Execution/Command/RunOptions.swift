import RunCore
import ShardIO
import SystemPackage
import Weights

/// The options of every command that works on the matrices of a checkpoint.
package struct RunOptions: Sendable {
  /// A checkpoint, and what the command calls it.
  package struct Source: Sendable {
    /// The name of its role: `checkpoint`, or `base` and `tuned`.
    package let name: String
    /// The path of a folder of shards, or of one file.
    package let path: FilePath
  }

  /// The checkpoints, in the order in which the command names them.
  package var sources: [Source]
  /// The folder that the results go to, and what may happen to what is there.
  package var output: OutputOptions
  /// Which tensors count as weight matrices, in every checkpoint.
  package var tensors: CatalogOptions
  /// How shards are read.
  package var io: SourceKind
  /// The number of BLAS threads of each rank; nil to divide the available cores among the ranks of a node.
  package var threads: Int?
  /// The bytes that each rank may hold; nil for a share of what its node has available.
  package var memory: Int?

  /// A run on one checkpoint.
  package init(
    checkpoint: FilePath, output: OutputOptions, tensors: CatalogOptions = CatalogOptions(), io: SourceKind = .auto,
    threads: Int? = nil, memory: Int? = nil
  ) {
    self.init(
      sources: [("checkpoint", checkpoint)], output: output, tensors: tensors, io: io, threads: threads, memory: memory)
  }

  /// A run on several checkpoints, by name.
  package init(
    sources: [(name: String, path: FilePath)], output: OutputOptions, tensors: CatalogOptions = CatalogOptions(),
    io: SourceKind = .auto, threads: Int? = nil, memory: Int? = nil
  ) {
    self.sources = sources.map { Source(name: $0.name, path: $0.path) }
    self.output = output
    self.tensors = tensors
    self.io = io
    self.threads = threads
    self.memory = memory
  }
}
