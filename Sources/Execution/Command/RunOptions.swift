import RunCore
import ShardIO
import SystemPackage
import Weights

/// What every command that works on the matrices of a checkpoint is asked.
package struct RunOptions: Sendable {
  /// A checkpoint and what the command calls it.
  package struct Source: Sendable {
    /// `checkpoint`, or `base` and `tuned`.
    package let name: String
    /// A folder of shards or one file.
    package let path: FilePath
  }

  /// The checkpoints, in the order in which the command names them.
  package var sources: [Source]
  /// Where the results go.
  package var output: OutputOptions
  /// Which tensors count, in every checkpoint.
  package var tensors: CatalogOptions
  /// How shards are read.
  package var io: SourceKind
  /// BLAS threads of each rank; nil for the cores there are, divided among the ranks of a node.
  package var threads: Int?
  /// Bytes that each rank may hold; nil for a share of what its node has available.
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
