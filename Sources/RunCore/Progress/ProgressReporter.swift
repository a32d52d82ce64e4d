import MPI

/// Follows how far this rank is, tells rank 0, and on rank 0 tells the observer how far all ranks are.
///
/// Nothing but ``open()``, ``close()`` and ``wait(until:)`` fails or waits: a message that MPI refuses is reported when the run ends.
final class ProgressReporter {
  /// The seconds between two looks at the messages and two calls of the observer.
  private static let interval = Duration.milliseconds(200)

  private let world: Communicator
  private let observer: any RunObserver
  /// The largest amount of anonymous memory that this rank has held so far, in bytes.
  private let peakBytes: () -> Int
  private var exchange: ProgressExchange?
  private var refusal: MPIError?
  /// What this rank says of itself.
  private var own = RankReport()
  private var begin = ContinuousClock.now
  /// What rank 0 knows of all ranks.
  private var stage: StageProgress?
  /// Reports of ranks that have come to a stage before rank 0, by rank.
  private var early: [Int: RankReport] = [:]
  private var lastLook = ContinuousClock.now
  private(set) var phase = ""

  init(on world: Communicator, observer: any RunObserver, peakBytes: @escaping () -> Int) {
    self.world = world
    self.observer = observer
    self.peakBytes = peakBytes
  }

  /// Lets ranks send reports from now on, if the observer of rank 0 wants to know.
  ///
  /// Collective: every rank calls it.
  func open() throws {
    guard world.size > 1 else { return }
    let isWanted = try world.broadcasting([Int32(observer.wantsProgress ? 1 : 0)])
    if isWanted[0] == 1 { exchange = try ProgressExchange(world) }
  }

  /// Ends the sending of reports.
  ///
  /// Collective: every rank calls it, after ``open()``.
  ///
  /// - Throws: `MPIError` if MPI has refused a message at any time.
  func close() throws {
    if let refusal { throw refusal }
    try exchange?.close()
    exchange = nil
  }

  // MARK: Stages

  /// Begins a stage. Every rank begins the same stages in the same order.
  func begin(_ phase: String) {
    self.phase = phase
    begin = .now
    own = RankReport(stage: own.stage + 1)
    own.bytes = peakBytes()
    guard world.isRoot else { return }
    let bytes = max(own.bytes, stage?.snapshot().bytes ?? 0)
    stage = StageProgress(phase, begin: begin, ranks: world.size, bytesBefore: bytes)
    for (rank, report) in early where report.stage == own.stage { stage?.take(report, of: rank) }
    early = early.filter { $0.value.stage > own.stage }
    lastLook = begin
    if let stage { observer.began(stage.snapshot()) }
  }

  /// Says what the stage that has begun consists of.
  ///
  /// - Parameters:
  ///   - totals: the work of each rank in planned seconds, by rank.
  ///   - names: the names of all matrices, by ordinal.
  ///   - recovered: the number of matrices that earlier processes have finished.
  func plan(_ totals: [Double], names: [String], recovered: Int) {
    own.total = totals[world.rank]
    stage?.plan(totals, names: names, recovered: recovered)
    if world.isRoot { report(isUrgent: true) }
  }

  /// Ends the stage.
  func end() {
    if let stage { observer.ended(stage.finalSnapshot()) }
  }

  // MARK: Work

  /// Says that this rank has done so many planned seconds of its work.
  ///
  /// - Parameters:
  ///   - total: all its work in planned seconds, if that has not been said.
  ///   - matrix: the ordinal of the matrix that it begins, if it begins one.
  ///   - isUrgent: whether it will be long before the next call.
  func advance(to done: Double, of total: Double? = nil, at matrix: Int? = nil, isUrgent: Bool = false) {
    own.done = done
    if let total { own.total = total }
    own.elapsed = (ContinuousClock.now - begin).seconds
    if let matrix { own.matrix = matrix }
    report(isUrgent: isUrgent)
  }

  /// Says that a matrix is finished, of which this rank keeps the result.
  func finishMatrix() {
    own.finished += 1
    report()
  }

  /// Waits until something is so that other ranks bring about, and lets reports pass meanwhile.
  ///
  /// It returns earlier if this rank has nothing to do with reports, so that MPI itself can wait.
  func wait(until isSo: () throws -> Bool) throws {
    guard exchange != nil else { return }
    if !world.isRoot { own.matrix = -1 }
    report(isUrgent: true)
    var pause = Pause()
    while refusal == nil, world.isRoot || exchange?.hasUnsent == true, try !isSo() {
      pause.wait()
      report()
    }
  }

  /// Passes on what this rank says of itself, and on rank 0 what has come from others, unless that has just been done.
  ///
  /// - Parameter isUrgent: whether to do it in any case.
  private func report(isUrgent: Bool = false) {
    let now = ContinuousClock.now
    // The last report of a stage is not followed by another one, so it is tried until it can be sent.
    let isLast = own.isDone && !world.isRoot
    guard isUrgent || isLast || now - lastLook >= Self.interval, refusal == nil else { return }
    lastLook = now
    own.bytes = peakBytes()
    do {
      if world.isRoot { try look() } else { try exchange?.post(own, isUrgent: isUrgent || isLast) }
    } catch { refusal = error }
  }

  private func look() throws(MPIError) {
    guard var stage else { return }
    self.stage = nil
    stage.take(own, of: 0)
    for (rank, report) in try exchange?.arrived() ?? [] {
      if report.stage == own.stage { stage.take(report, of: rank) }
      if report.stage > own.stage { early[rank] = report }
    }
    self.stage = stage
    observer.advanced(stage.snapshot())
  }
}
