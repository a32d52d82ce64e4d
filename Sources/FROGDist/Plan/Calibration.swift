import DistSVD
import Dispatch
import ShardIO
import Synchronization
import SystemPackage

/// Measures ``MachineRates`` of this machine, with the code that a run uses.
public struct Calibration {
  /// BLAS threads of a rank.
  public let threads: Int
  /// How many ranks work at the same time.
  public let processes: Int
  /// Large enough that the Gram matrix is out of cache at the last.
  private let orders: [Int]

  /// Calibration for ranks of `threads` threads.
  ///
  /// With one thread, as many ranks as there are cores are imitated, since they share memory and clock; BLAS with several threads
  /// cannot be called from several sides at once, so then one is measured alone.
  ///
  /// - Parameter cores: of this machine.
  public init(threads: Int, cores: Int, memory: Int?, orders: [Int] = [256, 1024, 4096]) {
    self.threads = threads
    self.orders = orders
    let each = 32 * (orders.max() ?? 1) * (orders.max() ?? 1) + (128 << 20)
    let room = max(1, (memory ?? .max) / each)
    processes = threads == 1 ? max(1, min(cores, room)) : 1
  }

  /// Measures; takes about 20 seconds.
  ///
  /// - Parameters:
  ///   - scratch: a folder for a file of 256 MB, on the storage that is measured.
  ///   - progress: called with what is measured next.
  public func run(scratch: FilePath, progress: (String) -> Void) throws -> MachineRates {
    LocalBLAS.threads = threads
    var rates = MachineRates.standard
    rates.threads = threads
    rates.processes = processes
    rates.source = LocalBLAS.description
    var points: [[(order: Int, perSecond: Double)]] = Array(repeating: [], count: 5)
    for order in orders {
      progress("order \(order)")
      let clock = BusyClock(isSingleThreaded: threads == 1)
      let results = try onAllProcesses { try StageRates(clock: clock).measure(order: order) }
      for (index, rate) in results.enumerated() { points[index].append((order, rate)) }
    }
    (rates.gramDouble, rates.eigensolverDouble) = (RateCurve(points[0]), RateCurve(points[1]))
    (rates.gramSingle, rates.eigensolverSingle) = (RateCurve(points[2]), RateCurve(points[3]))
    rates.scores = RateCurve(points[4])
    progress("reading")
    rates.readBytesPerSecond = try ReadRate.measure(in: scratch)
    return rates
  }

  /// Does `work` in as many threads as there are processes to imitate; the mean of each number they return.
  private func onAllProcesses(_ work: @Sendable () throws -> [Double]) throws -> [Double] {
    let results = Mutex<[Result<[Double], any Error>]>([])
    DispatchQueue.concurrentPerform(iterations: processes) { _ in
      let result = Result { try work() }
      results.withLock { $0.append(result) }
    }
    let all = try results.withLock { try $0.map { try $0.get() } }
    return (all.first ?? []).indices.map { index in all.reduce(0) { $0 + $1[index] } / Double(all.count) }
  }
}

/// Times the stages of one matrix.
private struct StageRates {
  let clock: BusyClock

  /// Operations a second of Gram matrix and eigensolver in double, the same in single precision, and scores.
  ///
  /// The matrix is n × n. Small orders are repeated for at least a quarter of a second.
  func measure(order: Int) throws -> [Double] {
    let matrix = try Pattern(rows: order, columns: order)
    let n = Double(order)
    let (double, basis) = try solver(Double.self, matrix, n)
    let (single, _) = try solver(Float.self, matrix, n)
    let shape = PanelShape(rows: matrix.rows, columns: matrix.columns)
    let ranges = shape.panels(of: PanelShape.scoreElements)
    let panels = try FactorScores(
      matrix, vectors: basis.vectors, columns: 0..<order, form: .frog, longest: ranges[0].count)
    let scores = try rate(of: 4 * n * n * n) {
      var histogram = ScoreHistogram()
      var noise = NoiseAccumulator(shape)
      for range in ranges {
        let panel = try panels.panel(range)
        histogram.count(panel.scores)
        noise.add(PanelMoments(panel, range: range, shape: shape))
      }
    }
    return double + single + [scores]
  }

  private func solver<Scalar: RealScalar>(
    _ type: Scalar.Type, _ matrix: Pattern, _ n: Double
  ) throws -> ([Double], SingularBasis) {
    var latest: SingularBasis?
    var gramSeconds = 0.0
    var solveSeconds = 0.0
    var repeats = 0.0
    repeat {
      let start = clock.now
      let gram = try GramMatrix<Scalar>(of: matrix)
      let middle = clock.now
      latest = try LocalEigensolver.solve(gram)
      gramSeconds += middle - start
      solveSeconds += clock.now - middle
      repeats += 1
    } while gramSeconds + solveSeconds < 0.25
    guard let latest else { throw RunFailure(.internal, "nothing was measured") }
    return ([repeats * n * n * n / gramSeconds, repeats * 9 * n * n * n / solveSeconds], latest)
  }

  private func rate(of operations: Double, _ work: () throws -> Void) rethrows -> Double {
    let start = clock.now
    var repeats = 0.0
    var seconds = 0.0
    repeat {
      try work()
      repeats += 1
      seconds = clock.now - start
    } while seconds < 0.25
    return repeats * operations / seconds
  }
}

/// A matrix whose rows are those of a small random one, over and over, with a ramp that keeps it of full rank.
private final class Pattern: PanelSource {
  let rows: Int
  let columns: Int
  private let values: [Float]

  init(rows: Int, columns: Int) throws {
    self.rows = rows
    self.columns = columns
    // A linear congruential generator: any numbers without structure will do.
    var state: UInt32 = 1
    values = (0..<1 << 18).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Int32(bitPattern: state)) * 0x1p-31
    }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    fill(rows, columns, panel) { $0 }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    fill(rows, columns, panel) { Double($0) }
  }

  /// The address of an element, scrambled, decides it: the same in whatever panel it is read.
  private func fill<Scalar>(
    _ rows: Range<Int>, _ columns: Range<Int>, _ panel: UnsafeMutableBufferPointer<Scalar>, _ convert: (Float) -> Scalar
  ) {
    values.withUnsafeBufferPointer { values in
      var index = 0
      for row in rows {
        let start = row &* 40_503 &+ columns.lowerBound
        for column in 0..<columns.count {
          panel[index] = convert(values[(start &+ column) & (values.count - 1)])
          index += 1
        }
      }
    }
  }
}

/// How fast this machine reads files.
private enum ReadRate {
  /// Bytes of the file that is made and read.
  static let size = 256 << 20
  /// Bytes of one call.
  static let piece = 4 << 20

  /// Bytes a second from a new file in `folder`, dropped from memory first as far as the system does that.
  static func measure(in folder: FilePath) throws -> Double {
    do {
      try Folder.create(folder)
      let file = try AnonymousFile(in: folder)
      let bytes = try AlignedBuffer<UInt8>(count: piece)
      let buffer = UnsafeMutableRawBufferPointer(bytes.elements)
      for offset in stride(from: 0, to: size, by: piece) { try file.write(UnsafeRawBufferPointer(buffer), at: offset) }
      try file.dropFromMemory()
      let start = ContinuousClock.now
      for offset in stride(from: 0, to: size, by: piece) { try file.read(into: buffer, at: offset) }
      return withExtendedLifetime(bytes) { Double(size) / (ContinuousClock.now - start).seconds }
    } catch {
      throw RunFailure(error)
    }
  }
}
