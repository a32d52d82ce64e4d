import ArgumentParser
import Planning

/// The options that say what a process may use.
struct ResourceOptions: ParsableArguments {
  @Option(
    name: [.customLong("memory"), .customLong("memory-per-rank")],
    help: ArgumentHelp(
      """
      The memory of each process, such as 4GiB or 500MB. (default: four fifths of what the machine has available, divided among its \
      processes)
      """,
      valueName: "bytes"))
  var memory: MemoryAmount?

  @Option(help: "The number of threads of each process. (default: the machine's cores divided among its processes)")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024") }
  }
}

/// An amount of memory on the command line.
struct MemoryAmount: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    guard let bytes = ByteCount.parse(argument) else { return nil }
    self.bytes = bytes
  }
}
