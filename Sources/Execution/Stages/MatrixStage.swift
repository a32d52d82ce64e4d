import MPI
import Planning
import RunCore
import Weights

/// A stage that measures every matrix once: recover → schedule → loop → rescued → gather.
///
/// Invariant: the outcome has exactly one row for each matrix, whichever process of the run has measured it.
///
///     let measured = try MatrixStage("spectra", of: measurement, over: run.inputs).run(work, in: run)
///     measured.rows                 // by ordinal, the same on every rank
package struct MatrixStage<Measurement: MatrixMeasurement> {
  private let name: String
  private let measurement: Measurement
  private let inputs: [MatrixInput]

  /// - Parameters:
  ///   - name: the name of the stage in `run.json`, and of its records in the journal.
  ///   - inputs: the checkpoint whose matrices are measured; after it others, whose matrices of the same ordinals are read too. At least
  ///     one.
  package init(_ name: String, of measurement: Measurement, over inputs: [MatrixInput]) {
    precondition(!inputs.isEmpty, "a stage works on a checkpoint")
    self.name = name
    self.measurement = measurement
    self.inputs = inputs
  }

  /// The result of a stage, the same on every rank but for what this rank wrote.
  package struct Outcome {
    /// The rows of all matrices, by ordinal.
    package let rows: [Measurement.Row]
    /// The journal that holds the records.
    package let journal: Journal
    /// What the stage has written, resumed and rescued.
    package let totals: StageTotals
  }

  /// Measures all matrices that no earlier process has finished.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter work: what measuring a matrix costs.
  /// - Throws: ``RunFailure``, the same on every rank: that of a rank that failed or, if none did, of one that was asked to stop.
  package func run(_ work: any MatrixWork, in run: BegunRun) throws -> Outcome {
    let context = run.context
    let journal = run.journal(name)
    let worker = RowWorker(measurement, journal: journal, inputs: inputs, watch: context.watch)
    let pass = MatrixPass(worker, over: inputs[0], beside: Array(inputs.dropFirst()), in: run)
    let resumed = try pass.run(as: name, work)
    let names = inputs[0].catalog.names
    let rescued = try context.rescued(worker.rows.map { (names[$0.ordinal], $0.rescue) })
    return Outcome(
      rows: try Measurement.Row.gather(worker.rows, count: names.count, over: context.world), journal: journal,
      totals: StageTotals(written: journal.written, resumed: resumed, rescued: rescued))
  }
}

/// Measures this rank's matrices, alone or with its teams, and keeps a row of each.
private final class RowWorker<Measurement: MatrixMeasurement>: MatrixWorker {
  let journal: Journal
  var readsWeights: Bool { measurement.readsWeights }
  let counts: [Int] = []
  /// The rows of this rank's matrices, in no particular order.
  private(set) var rows: [Measurement.Row] = []
  private let measurement: Measurement
  private let inputs: [MatrixInput]
  private let watch: StopWatch

  init(_ measurement: Measurement, journal: Journal, inputs: [MatrixInput], watch: StopWatch) {
    self.measurement = measurement
    self.journal = journal
    self.inputs = inputs
    self.watch = watch
  }

  func item(
    _ head: RecordHead, _ record: Measurement.Record, from reader: RecordReader
  ) throws -> Measurement.Row {
    try measurement.row(record, of: head.ordinal, from: reader)
  }

  func begin(with recovered: Journal.Recovered<Measurement.Row>, on world: Communicator) -> Rounds {
    rows = recovered.own
    return Rounds(world, others: [])
  }

  func work(on task: MatrixTask, rounds: Rounds, fraction: (Double) -> Double) throws -> Bool {
    let finding = try measurement.measure(task)
    for input in inputs where readsWeights {
      try task.locally { try input.contents.check(task.ordinal, member: task.member, of: task.memberCount) }
    }
    try rounds.advance(done: fraction(1), counts: [], ending: watch.mayGoOn() ? .none : .stopped)
    // A matrix that is done is kept, whatever the other ranks do.
    try task.locally { if task.isOwner { rows.append(try keep(finding, of: task)) } }
    return try task.agreesToGoOn(rounds.ending == .none)
  }

  private func keep(_ finding: Measurement.Finding, of task: MatrixTask) throws -> Measurement.Row {
    let writer = try journal.begin(task)
    try journal.finish(writer, measurement.record(finding, in: writer))
    return try measurement.row(finding, of: task)
  }
}
