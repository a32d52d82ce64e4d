import Foundation
import ShardIO
import SystemPackage
import Testing

@testable import Calibration
@testable import Planning
@testable import RunCore

@Suite("Stored rates")
struct RatesFileTests {
  private func inFolder(_ body: (FilePath) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("frog-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: url) }
    try body(FilePath(url.path))
  }

  @Test("come back as stored, one entry for each number of threads")
  func roundTrip() throws {
    try inFolder { folder in
      let file = folder.appending("new/rates.json")
      #expect(try MachineRates.load(threads: 1, from: file) == .standard)
      var one = MachineRates.standard
      one.readBytesPerSecond = 123_456_789.25
      one.source = "test"
      try one.store(to: file)
      var four = one.with(threads: 4)
      four.source = "four"
      try four.store(to: file)
      try one.store(to: file)
      #expect(try MachineRates.load(threads: 1, from: file) == one)
      #expect(try MachineRates.load(threads: 4, from: file) == four)
      #expect(try MachineRates.load(threads: 6, from: file) == four.with(threads: 6))
      #expect(try MachineRates.load(threads: 2, from: file) == one.with(threads: 2))
    }
  }

  @Test(
    "that no machine has are refused",
    arguments: [
      ("", ""), ("{", "["), ("\"format_version\" : 1", "\"format_version\" : 2"),
      ("\"threads\" : 1", "\"threads\" : 0"),
      ("\"spread\" : 300", "\"spread\" : -1"), ("\"order\" : 256", "\"order\" : 5000"),
      ("\"per_second\" : 92000000000", "\"per_second\" : -5"),
      ("\"per_second\" : 92000000000", "\"per_second\" : 1e999"),
    ])
  func hostile(from: String, to: String) throws {
    try inFolder { folder in
      let file = folder.appending("rates.json")
      try MachineRates.standard.store(to: file)
      let text = String(decoding: try Document.encode(RatesFile(rates: [.standard])), as: UTF8.self)
      let changed = from.isEmpty ? "" : text.replacingOccurrences(of: from, with: to)
      #expect(changed != text)
      try DurableFile.writeWhole(Array(changed.utf8), to: file)
      let failure = #expect(throws: RunFailure.self) { try MachineRates.load(threads: 1, from: file) }
      #expect(failure?.kind == .data && failure?.message.contains("--calibrate") == true)
      // Calibration mends it.
      try MachineRates.standard.store(to: file)
      #expect(try MachineRates.load(threads: 1, from: file) == .standard)
    }
  }

  @Test("are measured as sensible numbers")
  func calibration() throws {
    let calibration = Calibration(threads: 1, ranks: 1, neighbours: 1, cores: 2, memory: 1 << 30, orders: [32, 64])
    let clock = BusyClock(isSingleThreaded: true)
    let rates = try calibration.stages(progress: { _ in }) { try calibration.measure($0, clock: clock) }
    #expect(rates.isSensible && rates.processes == 2 && rates.scores.points.map(\.order) == [32, 64])
    try inFolder { folder in
      let rate = try ReadRate.measure(in: folder)
      let left = try Folder.names(in: folder)
      #expect(rate > 1e6 && left == [])
    }
  }

  @Test("of before teams were measured are read as such")
  func withoutMeasuredRanks() throws {
    try inFolder { folder in
      let file = folder.appending("rates.json")
      var rates = MachineRates.standard
      rates.teams.spread = 123
      let text = String(decoding: try Document.encode(RatesFile(rates: [rates])), as: UTF8.self)
      let old = text.replacing(/"measured_ranks" : \[[^\]]*\],?/, with: "").replacing(/,\s*}/, with: "}")
      #expect(old != text)
      try DurableFile.writeWhole(Array(old.utf8), to: file)
      #expect(try MachineRates.load(threads: 1, from: file) == rates)
    }
  }
}
