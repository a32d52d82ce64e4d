import MPI
import ShardIO
import SystemPackage

/// The records of one stage of a run: a durable file in the work folder for each finished matrix.
///
/// A record serves two purposes. A run that was killed goes on from the records that are there, and candidates wait in their records for
/// the selection.
///
/// Invariant: a file with a record's name is whole. ``RecordWriter`` writes under a temporary name and renames when all bytes are on the
/// disk. ``recover(_:world:owner:read:)`` removes records that have been damaged since then.
///
/// How a stage uses it, on every rank:
///
///     let journal = Journal(in: output.work, stage: "scores", run: identity.digest())
///     let recovered = try journal.recover(names, world: world, owner: …) { record, contents in … }  // collective
///     for ordinal in …  {                           // matrices that are not among recovered.ordinals
///       let record = try journal.begin(ordinal, named: name, members: 1)  // scores-00000007.frogrec, under a temporary name
///       let section = try record.section(values)
///       try journal.finish(record, contents)        // contents name the section
///     }
///
/// What a record holds depends on how far the bound had risen when its matrix was scored, and so on the order in which matrices were
/// scored. What is selected from all records together does not depend on it (docs/internals/journal.md).
package final class Journal {
  /// The end of every record's name.
  static let suffix = ".frogrec"

  private let folder: FilePath
  /// The stage's name.
  package let stage: String
  /// The ``RunIdentity/digest()`` of the run, by which its records are told from those of other runs.
  package let run: String
  /// The bytes that this rank has written in all records, and the time that took.
  package private(set) var written = (bytes: 0, time: Duration.zero)

  /// Makes the journal of one stage; reads and writes nothing yet.
  ///
  /// - Parameters:
  ///   - folder: the work folder, which every rank sees.
  ///   - stage: the stage's name, of letters, digits and dashes. Names of records begin with it.
  ///   - run: the ``RunIdentity/digest()`` of the run.
  package init(in folder: FilePath, stage: String, run: String) {
    self.folder = folder
    self.stage = stage
    self.run = run
  }

  /// Starts the record of a matrix, under a temporary name.
  ///
  /// - Parameter members: the number of ranks that did the matrix together.
  package func begin(_ ordinal: Int, named name: String, members: Int) throws -> RecordWriter {
    try RecordWriter(path(of: ordinal), RecordHead(run: run, ordinal: ordinal, name: name, members: members))
  }

  /// Finishes a record (``RecordWriter/finish(_:)``), and adds what it took to ``written``.
  package func finish(_ record: RecordWriter, _ contents: some RecordContents) throws {
    try record.finish(contents)
    written.bytes += record.byteCount
    written.time += record.time
  }

  /// The path of the finished record of a matrix, whether or not it exists: `STAGE-ORDINAL.frogrec`, the ordinal in eight digits or more.
  package func path(of ordinal: Int) -> FilePath {
    let digits = String(ordinal)
    return folder.appending(
      "\(stage)-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)\(Self.suffix)")
  }

  /// What an earlier process has left finished of the stage.
  package struct Recovered<Item> {
    /// The ordinals of all matrices that have a valid record, the same on every rank.
    package var ordinals: Set<Int> = []
    /// What `read` returned for the records that this rank owns.
    package var own: [Item] = []
    /// The ordinals of the records that were removed because they were damaged or of another run, ascending and the same on every rank.
    package var damaged: [Int] = []
  }

  /// Reads the records that are there, and removes those that are damaged or belong to another run.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - names: the names of all matrices, by ordinal.
  ///   - owner: returns the rank that reads and keeps the record of an ordinal. `position` is the record's place among those found.
  ///   - read: looks at every byte of a record of this run and of the matrix of that ordinal. If it throws, the record counts as damaged.
  /// - Throws: ``RunFailure`` if the folder cannot be listed or a damaged record cannot be removed.
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

  /// The ordinals of the records in the folder, ascending; those that are not below `count` are left out.
  private func ordinals(below count: Int) throws -> [Int] {
    try Folder.names(in: folder).compactMap { name in
      guard name.hasPrefix("\(stage)-"), name.hasSuffix(Self.suffix) else { return nil }
      return Int(name.dropFirst(stage.utf8.count + 1).dropLast(Self.suffix.utf8.count))
    }.filter { $0 >= 0 && $0 < count }.sorted()
  }

  /// Reads one record; throws if it does not belong to this run and to the matrix of this ordinal and name.
  private func item<Contents: RecordContents, Item>(
    _ ordinal: Int, named name: String, read: (RecordReader, RecordHead, Contents) throws -> Item
  ) throws -> Item {
    let reader = try RecordReader(path(of: ordinal))
    let (head, contents): (RecordHead, Contents) = try reader.contents()
    guard head.run == run, head.ordinal == ordinal, head.name == name else { throw reader.damage }
    return try read(reader, head, contents)
  }
}
