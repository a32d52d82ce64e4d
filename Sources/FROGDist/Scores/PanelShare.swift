import Execution

/// The division of a matrix's panels among the members of a team.
struct PanelShare {
  private let panels: [Range<Int>]
  private let members: Int

  /// Gives each member a run of consecutive panels.
  init(_ panels: [Range<Int>], members: Int) {
    self.panels = panels
    self.members = members
  }

  /// The largest number of panels that any member has.
  var steps: Int { (0..<members).map { own($0).count }.max() ?? 0 }

  /// The length of the longest panel.
  var longest: Int { panels.map(\.count).max() ?? 0 }

  /// The panel that `member` makes in a step; empty if the member has none left.
  func range(_ step: Int, of member: Int) -> Range<Int> {
    let own = own(member)
    return step < own.count ? panels[own.lowerBound + step] : 0..<0
  }

  private func own(_ member: Int) -> Range<Int> {
    panels.count * member / members..<panels.count * (member + 1) / members
  }
}
