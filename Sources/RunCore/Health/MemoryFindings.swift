import ShardIO
import SystemPackage

/// Whether nodes have the memory that is wanted of them.
package enum MemoryFindings {
  /// Compares what the ranks of each node want with what there is.
  ///
  /// - Parameters:
  ///   - wanted: the bytes that each rank holds at most, by rank.
  ///   - words: who wants them, such as `the plan`.
  package static func of(_ surveys: [RankSurvey], wanted: [Int], by words: String) -> Finding {
    let nodes = SurveyedNode.all(in: surveys)
    if let scarce = nodes.first({ scarcity(of: $0, wanted, words) }) { return scarce }
    let largest = surveys.map { wanted[$0.rank] }.max() ?? 0
    let least = nodes.compactMap { amount(on: $0)?.bytes }.min()
    let has = least.map { ", and \(nodes.count == 1 ? "the host" : "each host") has \(Amount.of($0))" } ?? ""
    return .fine(.memory, "\(words) wants up to \(Amount.of(largest)) a process\(has)")
  }

  /// What the ranks of a node can have together, and what sets the limit; nil where the system does not tell.
  private static func amount(on node: SurveyedNode) -> (bytes: Int, isGroup: Bool)? {
    let limit = node.ranks.compactMap(\.memory.limit).min()
    let available = node.ranks.compactMap(\.memory.available).max()
    if let limit, limit <= available ?? .max { return (limit, true) }
    return available.map { ($0, false) }
  }

  private static func scarcity(of node: SurveyedNode, _ wanted: [Int], _ words: String) -> Finding? {
    guard let (bytes, isGroup) = amount(on: node) else { return nil }
    let each = node.ranks.map { wanted[$0.rank] }
    let total = each.reduce(0) { sum, next in
      let (value, overflow) = sum.addingReportingOverflow(next)
      return overflow ? .max : value
    }
    guard total > bytes else { return nil }
    let group = node.ranks.min { $0.memory.limit ?? .max < $1.memory.limit ?? .max }?.memory.group
    let limit =
      isGroup
      ? "control group \(shown(FilePath(group ?? "/"))) allows \(Amount.of(bytes))"
      : "only \(Amount.of(bytes)) are available"
    return .problem(
      .memory,
      "\(words) wants up to \(Amount.of(each.max() ?? 0)) a process, \(Amount.of(total)) for the \(node.processes) on host "
        + "\(node.host), where \(limit)",
      do: "start fewer processes a node, lower --memory, or "
        + (isGroup ? "ask for more memory (sbatch --mem, docker run --memory)" : "take a node with more memory"))
  }
}
