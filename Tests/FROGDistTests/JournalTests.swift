import CKernels
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

@Suite("Records of the journal")
struct JournalRecordTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private var path: FilePath { folder.path.appending("a.frogrec") }

  private func candidates(_ count: Int) -> [frog_candidate] {
    (0..<count).map { frog_candidate(position: UInt32($0), key: UInt32(1000 + $0)) }
  }

  /// A record of a 200 × 300 matrix with this many candidates, each with a score beside it.
  private func write(_ count: Int) throws {
    let writer = try RecordWriter(path, .test)
    let keys = try writer.section(candidates(count))
    let scores = try writer.section((0..<count).map { Float($0) })
    _ = try writer.finish(
      rows: 200, columns: 300, bins: [7, 40_000],
      runs: [CandidateRun(rows: 0..<200, columns: 0..<300, candidates: keys, scores: scores)])
  }

  /// Everything that is in the record.
  private func readAll() throws -> (MatrixRecord, [frog_candidate], [Float]) {
    let reader = try RecordReader(path)
    let (head, record) = try reader.contents(as: MatrixRecord.self)
    #expect(head.run == "r" && head.ordinal == 0 && head.name == "w")
    _ = try reader.read(record.noise, of: Float.self)
    _ = try reader.read(record.rankings[0].histogram, of: Int.self)
    _ = try reader.read(record.rankings[0].sums, of: Double.self)
    _ = try reader.read(record.singularValues, of: Double.self)
    var found: [frog_candidate] = []
    var scores: [Float] = []
    for run in record.rankings[0].runs {
      let cursor = CandidateCursor(run, of: reader)
      while let candidate = try cursor.peek() {
        found.append(candidate)
        scores.append(cursor.score)
        cursor.advance()
      }
    }
    return (record, found, scores)
  }

  @Test("come back as they were written", arguments: [0, 1, 16_384, 16_385, 50_000])
  func roundTrip(count: Int) throws {
    try write(count)
    let (record, found, scores) = try readAll()
    #expect(found.map(\.key) == candidates(count).map(\.key))
    #expect(found.map(\.position) == candidates(count).map(\.position))
    #expect(scores == (0..<count).map { Float($0) })
    #expect(record.rankOneShare == .infinity && record.relativeError == 0.5 && record.mean == 2)
    let reader = try RecordReader(path)
    #expect(try reader.read(record.noise, of: Float.self) == (0..<500).map { Float($0) })
    #expect(try reader.read(record.singularValues, of: Double.self) == [3, 2])
    let bins = try #require(ScoreHistogram.decode(reader.read(record.rankings[0].histogram, of: Int.self)))
    let sums = try #require(CoarseSums.decode(reader.read(record.rankings[0].sums, of: Double.self)))
    #expect(sums[0] == 0.5 && sums[2500] == 0.5 && sums.reduce(0, +) == 1)
    #expect(bins[7] == 1 && bins[40_000] == 1 && bins.reduce(0, +) == 2)
    #expect(folder.names == ["a.frogrec"])
  }

  @Test("a flipped bit anywhere is noticed")
  func flipped() throws {
    try write(20_000)
    let size = try Data(contentsOf: URL(fileURLWithPath: path.string)).count
    let end = size - 1500..<size
    for byte in Array(stride(from: 0, to: end.lowerBound, by: 1997)) + Array(end) {
      try folder.flip(byte, of: path)
      #expect(throws: (any Error).self, "byte \(byte) of \(size)") { try readAll() }
      try folder.flip(byte, of: path)
    }
    _ = try readAll()
  }

  @Test("a record that is cut short is none", arguments: [0, 1, 47, 48, 100, 160_000])
  func truncated(size: Int) throws {
    try write(20_000)
    let file = try FileDescriptor.open(path, .readWrite)
    try file.closeAfter { try file.resize(to: Int64(size)) }
    #expect(throws: (any Error).self) { try RecordReader(path).contents(as: MatrixRecord.self) }
  }

  @Test("one that is not finished leaves nothing behind")
  func unfinished() throws {
    do {
      let writer = try RecordWriter(path, .test)
      _ = try writer.section(candidates(100))
      #expect(folder.names.count == 1 && folder.names[0].hasSuffix(RecordWriter.temporarySuffix))
    }
    #expect(folder.names.isEmpty)
  }

  @Test("counts by bin are taken as written or not at all")
  func histogram() throws {
    var bins = [Int](repeating: 0, count: ScoreHistogram.binCount)
    (bins[0], bins[5], bins[65_535]) = (3, 1 << 40, 1)
    #expect(ScoreHistogram.encode(bins) == [0, 3, 5, 1 << 40, 65_535, 1])
    #expect(ScoreHistogram.decode(ScoreHistogram.encode(bins)) == bins)
    for wrong in [[1], [65_536, 1], [-1, 1], [1, 0], [1, -1]] { #expect(ScoreHistogram.decode(wrong) == nil) }
  }

  @Test("solvers keep their labels on the way between ranks")
  func solvers() {
    let solvers: [(MatrixSolver, String?)] = [
      (.init(.none), nil), (.init(.exact), "local"), (.init(.exact, isRescued: true), "local, QR"),
      (.init(.exact, members: 4), "team of 4"), (.init(.exact, members: 3, isRescued: true), "team of 3, QR"),
      (.init(.randomized, members: 4), "randomized"), (.init(.randomized, isRescued: true), "randomized, QR"),
    ]
    for (solver, label) in solvers {
      #expect(solver.label == label)
    }
  }
}
