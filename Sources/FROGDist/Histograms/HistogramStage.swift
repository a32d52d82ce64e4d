import Execution
import MPI
import RunCore
import ShardIO
import SystemPackage

/// Writes the histograms of all targets. Every rank writes the bins of its matrices.
struct HistogramStage {
  let scored: [ScoredMatrix]
  let targets: [PlacedTarget]
  /// The exponents of the values that rank the weights of every matrix, by ranking and ordinal.
  let exponents: [[Int]]
  let output: OutputDirectory
  let world: Communicator
  let watch: StopWatch

  /// Writes the files.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: the files by target, finished and synchronized in the work folder.
  func write() throws -> [RecordedFile] {
    var files = [RecordedFile?](repeating: nil, count: targets.count)
    for (ranking, exponents) in exponents.enumerated() {
      let members = targets.indices.filter { targets[$0].ranking == ranking }
      // 1. Lay out the file, which all targets of a ranking have in common.
      let own = try world.agreeing { try scored.map { ($0.ordinal, try CoarseHistogram($0, ranking: ranking)) } }
      let (arrays, wide) = try layout(own, matrixCount: exponents.count)
      // 2. Write a copy for each target.
      let copies = members.map { output.work.appending(targets[$0].file(HistogramLayout.fileName).work) }
      let file = try arrays.write(copies, on: world, watch) { writer in
        for (ordinal, histogram) in own {
          try write(histogram, of: ordinal, wide, to: writer)
          try writer.write(exponent: exponents[ordinal], of: ordinal)
        }
      }
      for member in members { files[member] = file }
    }
    return files.compactMap { $0 }
  }

  /// The layout of the histograms of all ranks.
  ///
  /// Collective: every rank calls it.
  private func layout(
    _ own: [(ordinal: Int, histogram: CoarseHistogram)], matrixCount: Int
  ) throws -> (MatrixArrays, HistogramLayout.Width) {
    // The numbers of bins, and behind them the numbers of matrices that need wide counts and sums.
    var numbers = [Int](repeating: 0, count: matrixCount + 2)
    for (ordinal, histogram) in own {
      numbers[ordinal] = histogram.bins.count
      let wide = HistogramLayout.Width(of: histogram)
      numbers[matrixCount] += wide.counts ? 1 : 0
      numbers[matrixCount + 1] += wide.sums ? 1 : 0
    }
    try world.allReduce(&numbers, .sum)
    var wide = HistogramLayout.Width()
    wide.counts = numbers[matrixCount] > 0
    wide.sums = numbers[matrixCount + 1] > 0
    return (try HistogramLayout.arrays(binCounts: Array(numbers[..<matrixCount]), wide: wide), wide)
  }

  private func write(
    _ histogram: CoarseHistogram, of ordinal: Int, _ wide: HistogramLayout.Width, to writer: MatrixArrayWriter
  ) throws {
    func write<Element: BitwiseCopyable>(_ elements: [Element], _ tensor: HistogramLayout.Tensor) throws {
      try writer.write(elements, of: ordinal, to: tensor.rawValue)
    }
    try write(histogram.bins, .bins)
    if wide.counts {
      try write(histogram.counts.map(Int64.init), .counts)
    } else {
      try write(histogram.counts.map(Int32.init), .counts)
    }
    if wide.sums {
      try write(histogram.sums, .sums)
    } else {
      try write(histogram.sums.map { Float($0) }, .sums)
    }
  }
}
