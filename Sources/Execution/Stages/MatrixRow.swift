import FoundationEssentials
import MPI
import RunCore

/// The result of measuring a matrix, or a pair of matrices, as one rank holds it.
package protocol MatrixRow: Codable {
  /// The position of the matrix in the catalog.
  var ordinal: Int { get }
  /// Why the usual solver's result was refused; nil if it was not.
  var rescue: String? { get }
}

extension MatrixRow {
  /// Gathers the rows of all ranks, in order of ordinal, on every rank.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter count: the number of all matrices; each has been measured by one rank.
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
