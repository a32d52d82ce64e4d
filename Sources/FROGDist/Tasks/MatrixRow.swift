import FoundationEssentials
import MPI

/// What one rank has measured of a matrix, or of a pair of them.
protocol MatrixRow: Codable {
  var ordinal: Int { get }
}

extension MatrixRow {
  /// The rows of all ranks, by ordinal, on every rank.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter count: of all matrices, each of which one rank has measured.
  static func gather(_ own: [Self], count: Int, over world: Communicator) throws -> [Self] {
    let texts = try world.allGather(world.agreeing { Array(try JSONEncoder().encode(own)) })
    return try world.agreeing {
      let all = try texts.flatMap { try JSONDecoder().decode([Self].self, from: Data($0)) }
      guard all.count == count else {
        throw RunFailure(.internal, "\(all.count) of \(count) matrices have been measured")
      }
      return all.sorted { $0.ordinal < $1.ordinal }
    }
  }
}
