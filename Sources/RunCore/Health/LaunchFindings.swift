import MPI

/// What surveys of all ranks tell of a launch.
package enum LaunchFindings {
  /// Every finding that needs neither a checkpoint nor an output folder, fine ones included.
  package static func all(_ surveys: [RankSurvey], _ launch: LaunchEnvironment) -> [Finding] {
    let nodes = SurveyedNode.all(in: surveys)
    return [processes(nodes, launch)] + CoreFindings.of(nodes) + FileFindings.of(nodes, isAlone: launch.job == nil)
      + LibraryFindings.of(surveys)
  }

  /// The number of processes against what the launcher has started.
  private static func processes(_ nodes: [SurveyedNode], _ launch: LaunchEnvironment) -> Finding {
    let ranks = nodes.reduce(0) { $0 + $1.ranks.count }
    if let problem = launch.mismatch(worldSize: ranks) { return .problem(.launch, problem.found, do: problem.remedy) }
    let by = launch.job.map { ", started by \($0.launcher.rawValue)" } ?? ", started by hand"
    let hosts = nodes.count == 1 ? "host \(nodes[0].host)" : "\(nodes.count) hosts"
    return .fine(.launch, "\(ranks) process\(ranks == 1 ? "" : "es") on \(hosts)\(by)")
  }
}
