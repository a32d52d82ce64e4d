import DistSVD
import SystemPackage
import Testing

@testable import Comparison
@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

/// A small matrix in memory.
private struct Dense: PanelSource {
  let rows: Int
  let columns: Int

  func element(_ row: Int, _ column: Int) -> Double {
    let residue: Int = (row * 7919 + column * 104_729 + row * column * 31) % 1009
    return Double(residue) / 504.5 - 1
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    for (at, value) in values(rows, columns).enumerated() { panel[at] = Float(value) }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    for (at, value) in values(rows, columns).enumerated() { panel[at] = value }
  }

  private func values(_ rows: Range<Int>, _ columns: Range<Int>) -> [Double] {
    rows.flatMap { row in columns.map { element(row, $0) } }
  }
}

@Suite("Scores and noise factors")
struct ScoresTests {
  @Test(
    "agree with the definition",
    arguments: [(9, 9), (30, 8), (8, 30), (2, 500), (500, 2), (300, 64), (200, 150), (150, 200)])
  func definition(rows: Int, columns: Int) throws {
    let matrix = Dense(rows: rows, columns: columns)
    let basis = try Precision.f64.basis(of: matrix)
    let core = basis.order
    let isTall = rows >= columns
    let vectors = withExtendedLifetime(basis) { basis.vectors.elements.map(Double.init) }

    // S_ij = Σ_k |w·v_k|_stream · |v_k|_core, in double, straight from the sum.
    var truth = [Double](repeating: 0, count: rows * columns)
    for k in 0..<core {
      let v = Array(vectors[k * core..<(k + 1) * core])
      for line in 0..<max(rows, columns) {
        let projection = v.indices.reduce(0) {
          $0 + v[$1] * (isTall ? matrix.element(line, $1) : matrix.element($1, line))
        }
        for j in 0..<core { truth[isTall ? line * columns + j : j * columns + line] += abs(projection) * abs(v[j]) }
      }
    }

    let panels = try FactorScores(matrix, vectors: basis.vectors, columns: 0..<core, form: .frog, longest: 7)
    var noise = NoiseAccumulator(panels.shape)
    var found = [Double](repeating: .nan, count: rows * columns)
    // Short panels, so that there are several.
    for start in stride(from: 0, to: panels.shape.stream, by: 7) {
      let range = start..<min(start + 7, panels.shape.stream)
      let panel = try panels.panel(range)
      for (r, row) in panel.rows.enumerated() {
        for (c, column) in panel.columns.enumerated() {
          found[row * columns + column] = Double(panel.scores[r * panel.columns.count + c])
        }
      }
      let moments = PanelMoments(panel, range: range, shape: panels.shape)
      // What ranks exchange is what they have.
      let (copy, next) = PanelMoments.decode(([7] + moments.encoded)[1...], core: core)
      #expect(copy.encoded == moments.encoded && next == moments.encoded.count + 1)
      noise.add(copy)
    }
    for (score, exact) in zip(found, truth) { #expect(abs(score - exact) <= 1e-5 * exact) }

    let factors = noise.factors
    let rowMeans = (0..<rows).map { row in truth[row * columns..<(row + 1) * columns].reduce(0, +) / Double(columns) }
    let columnMeans = (0..<columns).map { column in
      (0..<rows).reduce(0) { $0 + truth[$1 * columns + column] } / Double(rows)
    }
    let mean = truth.reduce(0, +) / Double(truth.count)
    for (value, exact) in zip(factors.row, rowMeans) { #expect(abs(Double(value) - exact) <= 1e-5 * exact) }
    for (value, exact) in zip(factors.column, columnMeans) {
      #expect(abs(Double(value) * mean - exact) <= 1e-5 * exact)
    }
    var (error, norm) = (0.0, 0.0)
    for index in truth.indices {
      let product = rowMeans[index / columns] * columnMeans[index % columns] / mean
      error += (truth[index] - product) * (truth[index] - product)
      norm += truth[index] * truth[index]
    }
    #expect(abs(factors.relativeError - (error / norm).squareRoot()) < 1e-4)
    #expect(abs(factors.mean - mean) <= 1e-5 * mean)
    // The rank-one share against the first singular value of S, by power iteration.
    var direction = [Double](repeating: 1, count: columns)
    var energy = 0.0
    for _ in 0..<200 {
      let image = (0..<rows).map { row in (0..<columns).reduce(0) { $0 + truth[row * columns + $1] * direction[$1] } }
      let back = (0..<columns).map { column in (0..<rows).reduce(0) { $0 + truth[$1 * columns + column] * image[$1] } }
      energy = image.reduce(0) { $0 + $1 * $1 } / direction.reduce(0) { $0 + $1 * $1 }
      let length = back.reduce(0) { $0 + $1 * $1 }.squareRoot()
      direction = back.map { $0 / length }
    }
    #expect(factors.rankOneShare <= energy / norm + 1e-6 && factors.rankOneShare >= energy / norm - 2e-3)
  }

  /// One process that hands out its own vectors.
  private struct OwnVectors: SharedVectors {
    let basis: SingularBasis
    var order: Int { basis.order }
    func gather(_ columns: Range<Int>, into vectors: UnsafeMutableBufferPointer<Float>) {
      let own = basis.vectors
      _ = vectors.update(from: own.elements[columns.lowerBound * order..<columns.upperBound * order])
    }
  }

  @Test("with vectors that pass by are the same", arguments: [(300, 200), (200, 300), (150, 150), (5, 2)])
  func streamed(rows: Int, columns: Int) throws {
    let matrix = Dense(rows: rows, columns: columns)
    let basis = try Precision.f64.basis(of: matrix)
    let shape = PanelShape(rows: rows, columns: columns)
    let whole = try FactorScores(
      matrix, vectors: basis.vectors, columns: 0..<basis.order, form: .frog, longest: shape.stream)
    let truth = Array(try whole.panel(0..<shape.stream).scores)
    var agreements = 0
    let streamed = try StreamedScores(matrix, vectors: OwnVectors(basis: basis), longest: shape.stream) {
      agreements += 1
      try $0()
    }
    let found = Array(try streamed.panel(0..<shape.stream).scores)
    for (score, exact) in zip(found, truth) { #expect(abs(score - exact) <= 1e-6 * exact) }
    #expect(try streamed.panel(0..<0).scores.isEmpty && agreements == 2)
  }

  @Test("bands and panels hold whole blocks, and none is much longer for it", arguments: [1, 7, 48, 256, 4096])
  func wholeBlocks(block: Int) {
    for (rows, columns) in [(28672, 8192), (8192, 8192), (100, 7), (8, 8), (53248, 16384), (9000, 3000)] {
      let shape = PanelShape(rows: rows, columns: columns)
      let plain = shape.panels(of: PanelShape.scoreElements)
      let panels = shape.scorePanels(block: block)
      #expect(panels.last?.upperBound == rows && panels.dropFirst().allSatisfy { $0.lowerBound % block == 0 })
      #expect(panels.allSatisfy { $0.count <= max(block, plain.map(\.count).max() ?? 0) })
      #expect(block > 1 || panels == plain)
      for members in 1...4 {
        let bands = StreamedScores.bands(shape, members: members, block: block)
        let own = StreamedScores.bands(shape, members: members, block: nil)
        #expect(bands.last?.upperBound == rows && bands.dropFirst().allSatisfy { $0.lowerBound % block == 0 })
        #expect(zip(bands, bands.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        #expect(PanelShare(bands, members: members).steps <= PanelShare(own, members: members).steps)
        #expect(block > 1 || bands == own)
      }
    }
  }

  @Test("bands cover the stream once, evenly", arguments: [1, 2, 3, 4, 7, 64])
  func bands(members: Int) {
    for (rows, columns) in [(28672, 8192), (8192, 8192), (100, 7), (8, 8), (53248, 16384), (1 << 22, 3)] {
      let shape = PanelShape(rows: rows, columns: columns)
      let bands = StreamedScores.bands(shape, members: members, block: nil)
      #expect(
        bands.flatMap { [$0.lowerBound, $0.upperBound] } == bands.flatMap { [$0.lowerBound, $0.upperBound] }.sorted())
      #expect(bands.reduce(0) { $0 + $1.count } == rows && bands.allSatisfy { !$0.isEmpty })
      #expect(bands.allSatisfy { $0.count * columns <= max(StreamedScores.bandElements, 16 * columns) })
      // No member has a step more than an even share needs.
      let share = PanelShare(bands, members: members)
      let longest = max(16, StreamedScores.bandElements / columns / 16 * 16)
      #expect(share.steps <= ((rows + members - 1) / members + longest - 1) / longest)
    }
  }

  @Test("a matrix of zeros has noise of zero and no error")
  func zeros() throws {
    struct Zero: PanelSource {
      let rows = 5
      let columns = 3
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
        panel.update(repeating: 0)
      }
      func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
        panel.update(repeating: 0)
      }
    }
    let panels = try FactorScores(
      Zero(), vectors: Precision.f64.basis(of: Zero()).vectors, columns: 0..<3, form: .frog, longest: 5)
    var noise = NoiseAccumulator(panels.shape)
    noise.add(PanelMoments(try panels.panel(0..<5), range: 0..<5, shape: panels.shape))
    let factors = noise.factors
    #expect(factors.row == [0, 0, 0, 0, 0] && factors.column == [1, 1, 1] && factors.relativeError == 0)
  }
}
