import FoundationEssentials
import MPI
import ShardIO

/// Notes at the beginning of a process of a run what the kernel counts, and tells the next one whether a lack of memory has ended it.
struct MemoryWatch {
  private let output: OutputDirectory
  private let world: Communicator

  init(in output: OutputDirectory, on world: Communicator) {
    self.output = output
    self.world = world
  }

  /// Warns if a process of the run's machines was killed for lack of memory since the run was begun or last continued.
  ///
  /// Only machines that take part now are asked. A note that is missing or damaged says nothing: the run goes on without it.
  ///
  /// Collective: every rank calls it. `warn` is called on rank 0.
  func tellOfKills(_ warn: (String) -> Void) throws {
    let text = try world.broadcasting(world.isRoot ? (try? Document.contents(of: output.memoryFile)) ?? [] : [])
    guard let note = try? JSONDecoder().decode(MemoryAtStart.self, from: Data(text)),
      note.formatVersion == MemoryAtStart.currentVersion
    else { return }
    let node = try world.splitByNode()
    let own = node.isRoot ? note.nodes.first { $0.host == HostName.own }?.sentence() : nil
    for words in try world.gather(Array((own ?? "").utf8)) where !words.isEmpty {
      warn(String(decoding: words, as: UTF8.self))
    }
  }

  /// Writes the note of this process.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter planned: the bytes that each rank needs at most, by rank.
  /// - Throws: ``RunFailure``, the same on every rank, if it cannot be written.
  func begin(planned: [Int]) throws {
    let node = try world.splitByNode()
    let needs = try node.allGather(planned[world.rank])
    var text: [UInt8] = []
    if node.isRoot {
      let total = needs.reduce(0) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 }
      text = try Document.encode(
        MemoryAtStart.Node(
          host: HostName.own, ranks: node.size, largestRank: needs.max() ?? 0, allRanks: total, counts: .look()))
    }
    let nodes = try world.gather(text)
    try world.agreeing {
      guard world.isRoot else { return }
      let found = try nodes.filter { !$0.isEmpty }.map {
        try JSONDecoder().decode(MemoryAtStart.Node.self, from: Data($0))
      }
      try DurableFile.writeWhole(Document.encode(MemoryAtStart(nodes: found)), to: output.memoryFile)
    }
  }
}
