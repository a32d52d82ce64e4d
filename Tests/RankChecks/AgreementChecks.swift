import MPI

struct CheckFailure: RankError, Equatable {
  var code: Int32
  var message: String
}

extension Communicator {
  /// Does work that may fail on one member; if it fails, all throw the same ``CheckFailure``.
  func agreeing(_ work: () throws -> Void) throws {
    try agree { () throws(CheckFailure) in
      do { try work() } catch { throw error as? CheckFailure ?? CheckFailure(code: 1, message: "\(error)") }
    }
  }
}

func checkAgreement(_ world: Communicator, _ e: inout Expectations) throws {
  let value = try world.agree { () throws(CheckFailure) in world.rank * 2 }
  e.expectEqual(value, world.rank * 2)

  // Every single rank fails alone, then all from one upwards: the lowest is what everyone hears of.
  for first in 0..<world.size {
    for alone in [true, false] {
      var heard: CheckFailure?
      do {
        try world.agree { () throws(CheckFailure) in
          if alone ? world.rank == first : world.rank >= first {
            throw CheckFailure(code: Int32(60 + world.rank), message: "rank \(world.rank) of the søster ✓")
          }
        }
      } catch let failure as CheckFailure {
        heard = failure
      }
      e.expectEqual(heard, CheckFailure(code: Int32(60 + first), message: "rank \(first) of the søster ✓"))
    }
  }
}
