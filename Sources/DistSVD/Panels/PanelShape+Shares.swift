extension PanelShape {
  /// The part of the streaming side that one member of a team reads.
  ///
  /// Shares follow one another in the order of the members and may be empty. Each is a multiple of 16 long, but for the
  /// one that ends the streaming side. They differ by at most 16.
  package func share(of member: Int, among members: Int) -> Range<Int> {
    let units = (stream + 15) / 16
    func start(_ member: Int) -> Int { min(stream, units * member / members * 16) }
    return start(member)..<start(member + 1)
  }

  /// Cuts a member's share into bands of at most `elements` elements each, or of 16 lines where even those are more.
  ///
  /// Every member gets as many bands as the longest share needs, since members work in step. Those with a shorter share
  /// end with empty bands.
  func bands(of member: Int, among members: Int, elements: Int) -> [Range<Int>] {
    let share = share(of: member, among: members)
    let step = max(16, elements / max(core, 1) / 16 * 16)
    let longest = (0..<members).map { self.share(of: $0, among: members).count }.max() ?? 0
    return stride(from: 0, to: longest, by: step).map {
      min(share.upperBound, share.lowerBound + $0)..<min(share.upperBound, share.lowerBound + $0 + step)
    }
  }
}
