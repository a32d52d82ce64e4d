import DistSVD

extension PanelShape {
  /// The panels of scores, each of about ``scoreElements`` elements, or of one row of blocks where even that is more.
  ///
  /// - Parameter block: the side of the blocks that panels hold whole; nil if weights are ranked one by one.
  func scorePanels(block: Int?) -> [Range<Int>] {
    let step = scoreStep(block: block)
    return stride(from: 0, to: stream, by: step).map { $0..<min(stream, $0 + step) }
  }

  /// The length of a panel of ``scorePanels(block:)`` on the streaming side, which may itself be shorter.
  func scoreStep(block: Int?) -> Int {
    let step = step(of: Self.scoreElements)
    return block.map { max(step / $0, 1) * $0 } ?? step
  }
}
