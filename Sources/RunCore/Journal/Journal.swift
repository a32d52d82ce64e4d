import MPI
import ShardIO
import SystemPackage

/// The finished matrices of one stage of a run: a durable file for each, at once the space in which candidates wait for the
/// selection and what a killed run goes on from.
///
/// What a record holds depends on how far the bound had risen when its matrix was scored, and so on the order of things; what is
/// selected from all records together does not (docs/internals/journal.md).
package final class Journal {
  /// Ends the names of records.
  static let suffix = ".frogrec"

  private let folder: FilePath
  private let stage: String
  /// ``RunIdentity/digest`` of the run.
  package let run: String
  /// Bytes that this rank has written, and the time that took.
  package private(set) var written = (bytes: 0, time: Duration.zero)

  /// - Parameters:
  ///   - folder: the work folder, which every rank sees.
  ///   - stage: letters, digits and dashes; tells the records of one stage from those of others.
  package init(in folder: FilePath, stage: String, run: String) {
    self.folder = folder
    self.stage = stage
    self.run = run
  }

  /// Starts the record of a matrix.
  package func begin(_ ordinal: Int, named name: String) throws -> RecordWriter {
    try RecordWriter(path(of: ordinal), RecordHead(run: run, ordinal: ordinal, name: name))
  }

  /// Counts what a record took.
  package func count(_ record: RecordWriter) {
    written.bytes += record.byteCount
    written.time += record.time
  }

  /// Where the record of a matrix is, or will be.
  package func path(of ordinal: Int) -> FilePath {
    let digits = String(ordinal)
    return folder.appending(
      "\(stage)-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)\(Self.suffix)")
  }

  /// What an earlier process has left of the stage.
  package struct Recovered<Item> {
    /// Of all ranks, by ordinal.
    package var ordinals: Set<Int> = []
    /// Of this rank.
    package var own: [Item] = []
    /// Records that were not what was written; they are gone. Of all ranks.
    package var damaged: [Int] = []
  }

  /// Reads the records that are there; damaged ones, and those of another run, are removed.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - names: of all matrices, by ordinal.
  ///   - owner: who reads the record of an ordinal and keeps it, given its position among those found.
  ///   - read: looks at every byte of a record of this run and of the matrix of that ordinal; throws if it is damaged.
  /// - Complexity: one read of all records, divided among their owners.
  package func recover<Contents: RecordContents, Item>(
    _ names: [String], world: Communicator, owner: (_ ordinal: Int, _ position: Int) -> Int,
    read: (_ reader: RecordReader, _ head: RecordHead, _ contents: Contents) throws -> Item
  ) throws -> Recovered<Item> {
    let found = try world.broadcasting(
      world.agreeing { world.isRoot ? try ordinals(below: names.count) : [] })
    var recovered = Recovered<Item>()
    var (whole, damaged): ([Int], [Int]) = ([], [])
    try world.agreeing {
      for (position, ordinal) in found.enumerated() where owner(ordinal, position) == world.rank {
        if let item = try? item(ordinal, named: names[ordinal], read: read) {
          recovered.own.append(item)
          whole.append(ordinal)
        } else {
          try Folder.remove(path(of: ordinal))
          damaged.append(ordinal)
        }
      }
    }
    recovered.ordinals = Set(try world.allGather(whole).joined())
    recovered.damaged = try world.allGather(damaged).joined().sorted()
    return recovered
  }

  /// Of the records that are there, ascending.
  private func ordinals(below count: Int) throws -> [Int] {
    try Folder.names(in: folder).compactMap { name in
      guard name.hasPrefix("\(stage)-"), name.hasSuffix(Self.suffix) else { return nil }
      return Int(name.dropFirst(stage.utf8.count + 1).dropLast(Self.suffix.utf8.count))
    }.filter { $0 >= 0 && $0 < count }.sorted()
  }

  private func item<Contents: RecordContents, Item>(
    _ ordinal: Int, named name: String, read: (RecordReader, RecordHead, Contents) throws -> Item
  ) throws -> Item {
    let reader = try RecordReader(path(of: ordinal))
    let (head, contents): (RecordHead, Contents) = try reader.contents()
    guard head.run == run, head.ordinal == ordinal, head.name == name else { throw reader.damage }
    return try read(reader, head, contents)
  }
}
