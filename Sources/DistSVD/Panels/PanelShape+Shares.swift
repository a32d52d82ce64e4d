extension PanelShape {
  /// The part of the streaming side that is left to one member of a team: a multiple of 16 long but for the last.
  ///
  /// Shares follow one another in the order of the members, differ by at most 16, and may be empty.
  public func share(of member: Int, among members: Int) -> Range<Int> {
    let units = (stream + 15) / 16
    func start(_ member: Int) -> Int { min(stream, units * member / members * 16) }
    return start(member)..<start(member + 1)
  }

  /// Ranges of `share`, each of at most `elements` elements, or 16 lines where even those are more.
  ///
  /// - Complexity: as many bands as the longest share needs, for every member: where members work in step, those with a shorter share
  ///   end with empty bands.
  func bands(of member: Int, among members: Int, elements: Int) -> [Range<Int>] {
    let share = share(of: member, among: members)
    let step = max(16, elements / max(core, 1) / 16 * 16)
    let longest = (0..<members).map { self.share(of: $0, among: members).count }.max() ?? 0
    return stride(from: 0, to: longest, by: step).map {
      min(share.upperBound, share.lowerBound + $0)..<min(share.upperBound, share.lowerBound + $0 + step)
    }
  }
}
