import CKernels
import MPI
import ShardIO
import SystemPackage

/// The finished matrices of one stage of a run: a durable file for each, at once the space in which candidates wait for the
/// selection and what a killed run goes on from.
///
/// What a record holds depends on how far the bound had risen when its matrix was scored, and so on the order of things; what is
/// selected from all records together does not (docs/pipeline.md).
final class Journal {
  /// Ends the names of records.
  static let suffix = ".frogrec"

  private let folder: FilePath
  private let stage: String
  /// ``RunIdentity/digest`` of the run.
  let run: String
  /// Bytes that this rank has written.
  private(set) var byteCount = 0

  /// - Parameters:
  ///   - folder: the work folder, which every rank sees.
  ///   - stage: letters, digits and dashes; tells the records of one stage from those of others.
  init(in folder: FilePath, stage: String, run: String) {
    self.folder = folder
    self.stage = stage
    self.run = run
  }

  /// Starts the record of a matrix.
  func begin(_ ordinal: Int) throws -> RecordWriter { try RecordWriter(path(of: ordinal)) }

  /// Counts what a record took.
  func add(_ bytes: Int) { byteCount += bytes }

  private func path(of ordinal: Int) -> FilePath {
    let digits = String(ordinal)
    return folder.appending(
      "\(stage)-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)\(Self.suffix)")
  }

  /// What an earlier process has left of the stage.
  struct Recovered {
    /// Of all ranks, by ordinal.
    var ordinals: Set<Int> = []
    /// Of this rank: how many ranked values of each matrix lie in each bin.
    var own: [(matrix: ScoredMatrix, histogram: [Int])] = []
    /// Records that were not what was written; they are gone. Of all ranks.
    var damaged: [Int] = []
  }

  /// Reads the records that are there; damaged ones, and those of another run, are removed.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - units: by ordinal.
  ///   - owner: who reads the record of an ordinal and keeps it, given its position among those found.
  /// - Complexity: one read of all records, divided among their owners.
  func recover(
    _ catalog: Catalog, units: [ScoreUnits], world: Communicator, owner: (_ ordinal: Int, _ position: Int) -> Int
  ) throws -> Recovered {
    let found = try world.broadcasting(
      world.agreeing { world.isRoot ? try ordinals(below: catalog.matrices.count) : [] })
    var recovered = Recovered()
    var damaged: [Int] = []
    try world.agreeing {
      for (position, ordinal) in found.enumerated() where owner(ordinal, position) == world.rank {
        if let whole = try? read(ordinal, of: catalog.matrices[ordinal], units: units[ordinal]) {
          recovered.own.append(whole)
        } else {
          try Folder.remove(path(of: ordinal))
          damaged.append(ordinal)
        }
      }
    }
    recovered.ordinals = Set(try world.allGather(recovered.own.map(\.matrix.ordinal)).joined())
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

  /// A record of which every byte has been looked at.
  private func read(
    _ ordinal: Int, of matrix: Catalog.Matrix, units: ScoreUnits
  ) throws -> (matrix: ScoredMatrix, histogram: [Int]) {
    let path = path(of: ordinal)
    let reader = try RecordReader(path)
    let record = try reader.contents()
    guard record.run == run, record.ordinal == ordinal, record.name == matrix.name,
      record.noise.count(of: Float.self) == matrix.rows + matrix.columns,
      let histogram = ScoreHistogram.decode(try reader.read(record.histogram, of: Int.self)),
      histogram.reduce(0, &+) == matrix.size
    else { throw reader.damage }
    _ = try reader.read(record.noise, of: Float.self)
    _ = try reader.read(record.singularValues, of: Double.self)
    for run in record.runs { try check(run, of: matrix, reader) }
    return (ScoredMatrix(record, at: path, columns: matrix.columns, units: units), histogram)
  }

  /// Positions outside the matrix would be written outside its mask.
  private func check(_ run: CandidateRun, of matrix: Catalog.Matrix, _ reader: RecordReader) throws {
    guard (0..<matrix.rows).contains(run.rows), (0..<matrix.columns).contains(run.columns),
      run.scores.map({ $0.count(of: Float.self) == run.count }) ?? true
    else { throw reader.damage }
    let size = run.rows.count * run.columns.count
    let cursor = CandidateCursor(run, of: reader)
    while let candidate = try cursor.peek() {
      guard Int(candidate.position) < size else { throw reader.damage }
      cursor.advance()
    }
  }
}
