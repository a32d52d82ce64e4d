import FoundationEssentials
import MPI
import RunCore

/// What one rank has measured of a matrix, or of a pair of them.
package protocol MatrixRow: Codable {
  /// The position of the matrix in the catalog.
  var ordinal: Int { get }
  /// Why the usual solver's result was refused; nil normally.
  var rescue: String? { get }
}

extension MatrixRow {
  /// The rows of all ranks, by ordinal, on every rank.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter count: of all matrices, each of which one rank has measured.
  package static func gather(_ own: [Self], count: Int, over world: Communicator) throws -> [Self] {
    let texts = try world.allGather(world.agreeing { Array(try RecordReader.encoder.encode(own)) })
    return try world.agreeing {
      let all = try texts.flatMap { try RecordReader.decoder.decode([Self].self, from: Data($0)) }
      guard all.count == count else {
        throw RunFailure(.internal, "\(all.count) of \(count) matrices have been measured")
      }
      return all.sorted { $0.ordinal < $1.ordinal }
    }
  }
}
