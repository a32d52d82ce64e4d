import DistSVD
import FoundationEssentials
import MPI
import RunCore
import Weights

/// Measures how much of the directions that a matrix writes to the residual stream the next matrix reads. The leading vectors come from the
/// journal.
struct StreamOverlaps {
  let catalog: Catalog
  let roles: MatrixRoles
  let journal: Journal
  /// The number of vectors of each matrix; 0 for no comparison.
  let count: Int

  init(_ catalog: Catalog, _ roles: MatrixRoles, journal: Journal, count: Int) {
    self.catalog = catalog
    self.roles = roles
    self.journal = journal
    self.count = count
  }

  /// Compares the pairs of ``StreamOrder``; each rank takes a share of them.
  ///
  /// Collective: every rank calls it, when all records of the journal are there.
  ///
  /// - Complexity: O(d·k²) for each pair.
  func measure(on world: Communicator, _ watch: StopWatch) throws -> [AnalysisSummary.Overlap] {
    guard count > 0 else { return [] }
    let pairs = StreamOrder(catalog, roles).pairs
    let own = try world.agreeing {
      var found: [AnalysisSummary.Overlap] = []
      // Pairs of one writer follow each other, so its vectors are read once.
      var writer: (ordinal: Int, vectors: SingularVectors?)?
      let share = pairs.count * world.rank / world.size..<pairs.count * (world.rank + 1) / world.size
      for pair in pairs[share] {
        try watch.check()
        if writer?.ordinal != pair.writer { writer = (pair.writer, try vectors(pair.writer)) }
        // A matrix whose vectors the solver got wrong is left out. A warning has said so before.
        guard let writing = writer?.vectors, let reading = try vectors(pair.reader) else { continue }
        let angles = try PrincipalAngles(between: writing, and: reading)
        let smaller = min(writing.count, reading.count)
        found.append(
          .init(
            writer: catalog.matrices[pair.writer].name, reader: catalog.matrices[pair.reader].name,
            overlap: angles.overlap,
            chance: Double(max(writing.count, reading.count)) / Double(max(writing.dimension, 1)),
            angles: Array(angles.angles.prefix(smaller))))
      }
      return Array(try JSONEncoder().encode(found))
    }
    let texts = try world.allGather(own)
    return try world.agreeing {
      try texts.flatMap { try JSONDecoder().decode([AnalysisSummary.Overlap].self, from: Data($0)) }
    }
  }

  private func vectors(_ ordinal: Int) throws -> SingularVectors? {
    let reader = try RecordReader(journal.path(of: ordinal))
    let record = try reader.contents(as: SpectrumRecord.self).contents
    guard let section = record.leading else { return nil }
    let elements = try reader.read(section, of: Double.self)
    let matrix = catalog.matrices[ordinal]
    let isLeft = roles.side(of: matrix, in: catalog) == .left
    let dimension = isLeft ? matrix.rows : matrix.columns
    guard dimension > 0, elements.count % dimension == 0 else { throw reader.damage }
    return try SingularVectors(elements, dimension: dimension)
  }
}
