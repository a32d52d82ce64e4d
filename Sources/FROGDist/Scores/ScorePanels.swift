import CKernels
import DistSVD
import RunCore

/// One panel of the scores of a matrix.
package struct ScorePanel {
  /// The scores, `rows × columns`, row-major and dense; none of them is negative.
  package let scores: UnsafeMutableBufferPointer<Float>
  let rows: Range<Int>
  let columns: Range<Int>

  init(_ scores: UnsafeMutableBufferPointer<Float>, range: Range<Int>, of shape: PanelShape) {
    self.scores = UnsafeMutableBufferPointer(rebasing: scores[..<(range.count * shape.core)])
    rows = shape.rows(range)
    columns = shape.columns(range)
  }

  /// Calls `body` with each row of the matrix that the panel covers, and with the panel's part of that row.
  func forEachRow(_ body: (_ row: Int, _ scores: UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
    let width = columns.count
    for (index, row) in rows.enumerated() {
      try body(row, UnsafeMutableBufferPointer(rebasing: scores[index * width..<(index + 1) * width]))
    }
  }
}

/// Makes the scores of one matrix, a panel at a time.
protocol ScorePanels {
  var shape: PanelShape { get }
  /// Whether all members of a team ask for panels in step. Then a failure of one is thrown by all.
  var isCollective: Bool { get }
  /// The scores of the range `range` of the streaming side; valid until the next call.
  func panel(_ range: Range<Int>) throws -> ScorePanel
}

extension ScorePanels {
  var isCollective: Bool { false }
}

/// The scores |W|.
struct MagnitudeScores: ScorePanels {
  let shape: PanelShape
  private let source: any PanelSource
  private let scores: AlignedBuffer<Float>

  init(_ source: any PanelSource, longest: Int) throws {
    shape = PanelShape(rows: source.rows, columns: source.columns)
    self.source = source
    scores = try AlignedBuffer(count: longest * shape.core)
  }

  func panel(_ range: Range<Int>) throws -> ScorePanel {
    let panel = ScorePanel(scores.elements, range: range, of: shape)
    try source.read(rows: panel.rows, columns: panel.columns, into: panel.scores)
    frog_absolute(panel.scores.baseAddress, panel.scores.count)
    return panel
  }
}

/// Random scores, uniform in (0, 1): a function of seed, name and position.
struct RandomScores: ScorePanels {
  let shape: PanelShape
  private let numbers: RandomNumbers
  private let columns: Int
  private let scores: AlignedBuffer<Float>

  init(rows: Int, columns: Int, numbers: RandomNumbers, longest: Int) throws {
    shape = PanelShape(rows: rows, columns: columns)
    self.columns = columns
    self.numbers = numbers
    scores = try AlignedBuffer(count: longest * shape.core)
  }

  func panel(_ range: Range<Int>) throws -> ScorePanel {
    let panel = ScorePanel(scores.elements, range: range, of: shape)
    panel.forEachRow { row, scores in
      frog_random_uniform(
        numbers.seed, numbers.stream, UInt64(row * columns + panel.columns.lowerBound), scores.count, scores.baseAddress
      )
    }
    return panel
  }
}

/// The score 1 of every weight, which leaves the ranking to what scores are multiplied by.
struct EqualScores: ScorePanels {
  let shape: PanelShape
  private let scores: AlignedBuffer<Float>

  init(_ shape: PanelShape, longest: Int) throws {
    self.shape = shape
    scores = try AlignedBuffer(count: longest * shape.core)
  }

  func panel(_ range: Range<Int>) -> ScorePanel {
    let panel = ScorePanel(scores.elements, range: range, of: shape)
    // The caller multiplies the scores of a panel in place, so each panel starts anew.
    panel.scores.update(repeating: 1)
    return panel
  }
}
