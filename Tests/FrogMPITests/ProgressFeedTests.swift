import Foundation
import Logging
import RunCore
import Synchronization
import Testing

@testable import frog_mpi

@Suite("Lines on the progress")
struct ProgressFeedTests {
  private let begin = ContinuousClock.now

  /// Lines that were written.
  private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  private var progress: ProgressSnapshot {
    var progress = ProgressSnapshot("scores", begin: begin)
    (progress.done, progress.isMeasured, progress.bytes, progress.ranks) = (0.456, true, 1_234_000_000, 4)
    progress.end = begin + .seconds(1000)
    progress.matrices = .init(done: 1234, of: 2891)
    progress.slowest = .init(rank: 3, done: 0.41, matrix: "h.7.up_proj.weight")
    return progress
  }

  @Test("a line when a stage begins, then one a minute, and none twice")
  func minutes() {
    let lines = Lines()
    let feed = ProgressFeed(.lines, write: lines.add)
    feed.began(ProgressSnapshot("scores", begin: begin), at: begin)
    #expect(lines.all == ["frog-mpi: scores\n"])
    for second in 1...150 {
      // What the thread that works says shows nothing by itself.
      feed.advanced(progress)
      feed.tick(at: begin + .seconds(second))
      #expect(lines.all.count == 1 + second / 60, "after \(second) s")
    }
    #expect(
      lines.all[1]
        == "frog-mpi: scores 45%, 1,234 of 2,891 matrices, about 15:40 left, 1.2 GB a process, slowest: rank 3 at 41% (h.7.up_proj.weight)\n"
    )
    // A minute counts from the line of the next stage.
    feed.ended(progress, at: begin + .seconds(150))
    feed.began(ProgressSnapshot("masks", begin: begin + .seconds(150)), at: begin + .seconds(150))
    for second in 151...209 { feed.tick(at: begin + .seconds(second)) }
    #expect(lines.all.dropFirst(3) == ["frog-mpi: masks\n"])
    feed.tick(at: begin + .seconds(210))
    #expect(lines.all.last == "frog-mpi: masks, 60.0 s so far\n")
  }

  @Test("objects when a stage begins and ends, and one a minute, each with every key")
  func objects() throws {
    let lines = Lines()
    let feed = ProgressFeed(.json, write: lines.add)
    feed.began(ProgressSnapshot("scores", begin: begin), at: begin)
    feed.advanced(progress)
    feed.tick(at: begin + .seconds(59))
    feed.tick(at: begin + .seconds(60))
    feed.ended(progress, at: begin + .seconds(70))
    #expect(lines.all.count == 3)
    for line in lines.all {
      #expect(line.last == "\n" && line.filter { $0 == "\n" }.count == 1)
      let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(Set(object.keys) == ["time", "phase", "done", "eta_s", "matrices", "rss", "slowest"])
    }
    let object = try #require(JSONSerialization.jsonObject(with: Data(lines.all[1].utf8)) as? [String: Any])
    #expect(object["phase"] as? String == "scores")
    #expect(object["done"] as? Double == 0.456)
    #expect(object["eta_s"] as? Double == 940)
    #expect(object["rss"] as? Int == 1_234_000_000)
    #expect(object["matrices"] as? [String: Int] == ["done": 1234, "of": 2891])
    let slowest = try #require(object["slowest"] as? [String: Any])
    #expect(slowest["rank"] as? Int == 3 && slowest["matrix"] as? String == "h.7.up_proj.weight")
  }

  @Test("a message is one line, whatever it says")
  func message() throws {
    let line = LogObject.message(.warning, "one\ntwo \"three\" \u{1b}[31m \u{2028} é")
    #expect(line.utf8.filter { $0 < 0x20 } == [0x0A])
    let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
    #expect(object["level"] == "warning" && object["message"] == "one\ntwo \"three\" \u{1b}[31m \u{2028} é")
    #expect(object["time"]?.contains(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) == true)
  }

  @Test("no line of a block is wider than the screen, or has characters that may be", arguments: [1, 4, 30])
  func width(ranks: Int) {
    var progress = progress
    progress.ranks = ranks
    let long = String(repeating: "model.language_model.layers.", count: 9)
    for name in ["w", "語の重み\u{1b}[2J\n", "e\u{301}", long, nil] {
      for (done, end) in [(0.0, nil), (0.456, 1e9), (0.999_999, 20), (1, 3)] as [(Double, Double?)] {
        progress.done = done
        progress.end = end.map { begin + .seconds($0) }
        progress.slowest = .init(rank: 123_456, done: done, matrix: name)
        for width in 0...220 {
          let lines = ProgressText.block(progress, at: begin + .seconds(7), width: width)
          #expect(lines.count <= 3)
          for line in lines {
            #expect(
              line.count <= width && line.unicodeScalars.allSatisfy { (" "..."~").contains($0) || $0 == "…" }, "\(line)"
            )
          }
        }
      }
    }
  }

  @Test("what a block says at 60 and 80 columns")
  func block() {
    let now = begin + .seconds(60)
    #expect(
      ProgressText.block(progress, at: now, width: 79) == [
        "scores  45%  [##############.................]  about 15:40 left, 60.0 s so far",
        "1,234 of 2,891 matrices, 1.2 GB a process", "slowest: rank 3 at 41%, h.7.up_proj.weight",
      ])
    #expect(
      ProgressText.block(progress, at: now, width: 59)[0]
        == "scores  45%  [#####......]  about 15:40 left, 60.0 s so far")
    #expect(ProgressText.block(progress, at: now, width: 36)[2] == "slowest: rank 3 at 41%, …proj.weight")
  }
}
