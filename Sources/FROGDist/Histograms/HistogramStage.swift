import Execution
import MPI
import RunCore
import ShardIO
import SystemPackage

/// Writes the histograms of all targets: rank 0 makes the files, and every rank writes the bins of its matrices at their offsets.
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
      let layout = try layout(own, matrixCount: exponents.count)
      for member in members {
        let path = output.work.appending(targets[member].file(HistogramLayout.fileName).work)
        // 2. Make it, and write what all ranks know.
        try world.agreeing {
          guard world.isRoot else { return }
          let file = try DurableFile(creating: path, size: layout.file.fileSize)
          try file.write(layout.file.header, at: 0)
          try file.write(layout.offsets.map(Int64.init), at: layout.position(of: .offsets, 0, width: 8))
          try file.write(exponents.map(Int32.init), at: layout.position(of: .exponents, 0, width: 4))
          try file.synchronize()
        }
        // 3. Write the bins of this rank's matrices.
        try world.agreeing {
          try watch.check()
          let file = try DurableFile(openingForUpdate: path)
          for (ordinal, histogram) in own { try write(histogram, from: layout.offsets[ordinal], layout, to: file) }
          try file.synchronize()
        }
        // 4. Hash it.
        let hasher = member % world.size
        let digest = try world.broadcasting(
          world.agreeing { world.rank == hasher ? try FileDigest.sha256(of: path).bytes : [] }, from: hasher)
        files[member] = RecordedFile(
          bytes: layout.file.fileSize, sha256: FileDigest(bytes: digest).hexadecimal)
      }
    }
    return files.compactMap { $0 }
  }

  /// The layout of the histograms of all ranks.
  ///
  /// Collective: every rank calls it.
  private func layout(_ own: [(ordinal: Int, histogram: CoarseHistogram)], matrixCount: Int) throws -> HistogramLayout {
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
    return try HistogramLayout(binCounts: Array(numbers[..<matrixCount]), wide: wide)
  }

  private func write(
    _ histogram: CoarseHistogram, from first: Int, _ layout: HistogramLayout, to file: borrowing DurableFile
  ) throws {
    try file.write(histogram.bins, at: layout.position(of: .bins, first, width: 2))
    if layout.wide.counts {
      try file.write(histogram.counts.map(Int64.init), at: layout.position(of: .counts, first, width: 8))
    } else {
      try file.write(histogram.counts.map(Int32.init), at: layout.position(of: .counts, first, width: 4))
    }
    if layout.wide.sums {
      try file.write(histogram.sums, at: layout.position(of: .sums, first, width: 8))
    } else {
      try file.write(histogram.sums.map { Float($0) }, at: layout.position(of: .sums, first, width: 4))
    }
  }
}

extension DurableFile {
  /// Writes all elements at `offset`. The processors that the program runs on have the byte order of safetensors.
  fileprivate borrowing func write<Element: BitwiseCopyable>(_ elements: [Element], at offset: Int) throws {
    try elements.withUnsafeBytes { try write($0, at: offset) }
  }
}
