import ShardIO
import Synchronization
import SystemPackage
import Testing

@testable import RunCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("When a run must be over")
struct StopTimeTests {
  private func parse(_ text: String, now: Double = 0) throws -> Double { try StopTime.parse(text, now: now) }

  @Test(
    "times with a zone",
    arguments: [
      ("2026-11-21T14:00Z", 1_795_269_600), ("2026-11-21 14:00:30Z", 1_795_269_630),
      ("2026-11-21T14:00+01:00", 1_795_266_000), ("2026-11-21T14:00:05-0530", 1_795_289_405),
      ("2026-11-21T14:00+01", 1_795_266_000), ("2028-02-29T00:00Z", 1_835_395_200), ("@1795269600", 1_795_269_600),
    ] as [(String, Double)])
  func zones(text: String, seconds: Double) throws { #expect(try parse(text) == seconds) }

  @Test("without a zone it is local time")
  func local() throws {
    var now = time_t(1_795_269_600)
    var fields = tm()
    localtime_r(&now, &fields)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let text =
      "\(fields.tm_year + 1900)-\(two(fields.tm_mon + 1))-\(two(fields.tm_mday))T\(two(fields.tm_hour)):\(two(fields.tm_min))"
    #expect(try parse(text) == 1_795_269_600)
    #expect(try parse(text + ":07") == 1_795_269_607)
  }

  @Test(
    "durations",
    arguments: [("90s", 90), ("45m", 2700), ("3h", 10800), ("1h30m", 5400), ("2d1s", 172_801), ("007s", 7)])
  func durations(text: String, seconds: Int) throws {
    #expect(Duration.seconds(of: text) == seconds)
    #expect(try parse(text, now: 1000) == Double(1000 + seconds))
  }

  @Test(
    "what is no time",
    arguments: [
      "", "@", "@-1", "@1.5", "now", "2026-11-21", "2026-11-21T14", "2026-13-01T00:00Z", "2027-02-29T00:00Z",
      "2026-11-21T24:00Z",
      "2026-11-21T14:60Z", "2026-11-21T14:00:60Z", "2026-11-21T14:00:5Z", "2026-11-21T14:00+25:00", "2026-11-21T14:00X",
      "2026-11-21T14:00ZZ", "+026-11-21T14:00Z", "2026-11-21T14:00:", "٢026-11-21T14:00", "1m1h", "1h1h", "5", "h",
      "1.5h", "-5s", "0s",
      "9999999999s", "9999d", "１s", "@99999999999999999999",
    ])
  func malformed(text: String) {
    #expect(throws: StopTimeError.malformed(text)) { try parse(text) }
  }

  @Test("what is over")
  func past() {
    #expect(throws: StopTimeError.past("@1000")) { try parse("@1000", now: 1000) }
    #expect(throws: StopTimeError.past("2001-01-01T00:00Z")) { try parse("2001-01-01T00:00Z", now: 1e9) }
  }

  @Test("stopping begins 15 s early, or half-way")
  func lastMoment() {
    #expect(StopTime.lastMoment(before: 1100, now: 1000) == 1085)
    #expect(StopTime.lastMoment(before: 1010, now: 1000) == 1005)
    #expect(StopTime.lastMoment(before: 1000, now: 1000) == 1000)
  }
}

@Suite("The watch that stops a run")
struct StopWatchTests {
  /// What a watch did to its process.
  private final class Record: Sendable {
    let signal = Atomic<Int32>(0)
    let exits = Atomic(0)
    let lines = Mutex<[String]>([])

    var process: StopWatch.Process {
      StopWatch.Process(
        signal: { self.signal.load(ordering: .relaxed) }, stopsAtNextSignal: {}, exitAfter: { _ in },
        exit: { self.exits.add(1, ordering: .relaxed) })
    }
    var spoken: [String] { lines.withLock { $0 } }

    func watch(rank: Int = 0, _ limits: StopWatch.Limits = .init()) throws -> StopWatch {
      try StopWatch(rank: rank, limits: limits, process: process) { said in
        let line =
          switch said {
          case .stopping(let message): message
          case .lost(let message): "error: " + message
          }
        self.lines.withLock { $0.append(line) }
      }
    }
  }

  private func eventually(within seconds: Double = 10, _ condition: () -> Bool) -> Bool {
    let end = SystemTime.now + seconds
    while !condition() {
      guard SystemTime.now < end else { return false }
      usleep(10_000)
    }
    return true
  }

  private func withFolder(_ body: (FilePath) throws -> Void) throws {
    var template = Array("/tmp/frog-mpi-stop-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw Errno(rawValue: errno) }
    let folder = FilePath(platformString: made)
    defer { try? Folder.removeTree(folder) }
    try body(folder)
  }

  @Test("a signal: all is told once, every place to stop throws, the process ends after the grace period")
  func signal() throws {
    try withFolder { folder in
      let record = Record()
      let watch = try record.watch()
      watch.use(folder)
      try watch.check()
      record.signal.store(SIGUSR1, ordering: .relaxed)
      #expect(eventually { !watch.mayGoOn() })
      let failure = #expect(throws: RunFailure.self) { try watch.check() }
      #expect(failure?.kind == .stopped && failure?.message.contains("(SIGUSR1)") == true)
      #expect(throws: RunFailure.self) { try watch.disarm() }
      #expect(eventually { record.exits.load(ordering: .relaxed) > 0 })
      if let failure { watch.announce(failure) }
      #expect(record.spoken.count == 1 && record.spoken.first == failure?.message)
      #expect(StopFiles(in: folder).readHalt() == "SIGUSR1")
      watch.end()
    }
  }

  @Test("another rank than the first says nothing, but leaves the halt file")
  func otherRank() throws {
    try withFolder { folder in
      let record = Record()
      let watch = try record.watch(rank: 3)
      watch.use(folder)
      record.signal.store(SIGTERM, ordering: .relaxed)
      #expect(eventually { StopFiles(in: folder).readHalt() == "SIGTERM on rank 3" })
      watch.end()
      #expect(record.spoken.isEmpty && record.exits.load(ordering: .relaxed) == 0)
    }
  }

  @Test(
    "the halt file stops a run; only what a rank wrote is shown", arguments: ["", "SIGTERM on rank 7", "\u{1b}[2J"])
  func halt(text: String) throws {
    try withFolder { folder in
      let files = StopFiles(in: folder)
      #expect(files.leaveHalt(text))
      let record = Record()
      let watch = try record.watch()
      watch.use(folder)
      #expect(eventually { !record.spoken.isEmpty })
      let shown = text.hasPrefix("SIG") ? text : "the file halt"
      #expect(record.spoken.first?.hasPrefix("stopping (\(shown)): ") == true)
      try files.clear()
      #expect(files.readHalt() == nil && files.isFirstToAnnounce() && !files.isFirstToAnnounce())
    }
  }

  @Test("once it is disarmed nothing stops a run")
  func disarmed() throws {
    let record = Record()
    let watch = try record.watch(.init(rankTimeout: 0.3))
    try watch.disarm()
    record.signal.store(SIGTERM, ordering: .relaxed)
    #expect(!eventually(within: 1) { !watch.mayGoOn() })
    #expect(record.spoken.isEmpty && record.exits.load(ordering: .relaxed) == 0)
  }

  @Test("a time that has come")
  func time() throws {
    let record = Record()
    let watch = try record.watch(.init(end: SystemTime.now + 0.3))
    #expect(watch.mayGoOn())
    #expect(eventually { !watch.mayGoOn() })
    #expect(eventually { record.spoken.first?.contains("--stop-before") == true })
  }

  @Test("the first of the ranks that cannot reach rank 0 speaks for them")
  func election() throws {
    try withFolder { folder in
      #expect(StopFiles(in: folder).isFirstToAnnounce())
      #expect(!StopFiles(in: folder).isFirstToAnnounce())
      // Better two lines than none.
      #expect(StopFiles(in: folder.appending("missing")).isFirstToAnnounce())
      #expect(!StopFiles(in: folder.appending("missing")).leaveHalt("SIGTERM"))
    }
  }
}
