import ArgumentParser
import Execution
import ShardIO
import SystemPackage

/// The options of every command that works on the matrices of checkpoints.
struct RunArguments: ParsableArguments {
  @OptionGroup var output: OutputChoice

  @OptionGroup var tensors: TensorChoice

  @OptionGroup var reading: ReadingChoice

  @OptionGroup var resources: ResourceOptions

  @OptionGroup var stop: StopOptions

  @OptionGroup var report: ReportChoice

  /// The options of a run on these checkpoints: the name of each role, and a path.
  func options(_ sources: KeyValuePairs<String, String>) -> RunOptions {
    RunOptions(
      sources: sources.map { ($0.key, FilePath($0.value)) }, output: output.options, tensors: tensors.options,
      io: reading.io, threads: resources.threads, memory: resources.memory?.bytes)
  }
}

/// The option that says how shards are read.
struct ReadingChoice: ParsableArguments {
  @Option(
    help: "How shards are read: mmap suits local disks, pread suits network file systems, auto chooses by file system.")
  var io = SourceKind.auto
}

extension SourceKind: ExpressibleByArgument {}
