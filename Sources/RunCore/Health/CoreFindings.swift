/// Whether the ranks of a node have cores of their own.
enum CoreFindings {
  static func of(_ nodes: [SurveyedNode]) -> [Finding] {
    let found = [nodes.first(binding), nodes.first(oversubscription)].compactMap { $0 }
    return found.isEmpty ? [.fine(.cores, healthy(nodes))] : found
  }

  /// Ranks are bound to fewer cores than they need, while other cores of the node have nothing to do.
  private static func binding(_ node: SurveyedNode) -> Finding? {
    let wanted = node.ranks.reduce(0) { $0 + $1.threads }
    let used = Set(node.ranks.flatMap(\.cores))
    guard let crowd = crowd(in: node) else { return nil }
    guard used.count < min(wanted, node.ranks[0].allowedCores) || wanted <= used.count else { return nil }
    let cores = Set(crowd.flatMap(\.cores)).sorted()
    let threads = crowd.reduce(0) { $0 + $1.threads }
    let who = crowd.count == 1 ? "process \(crowd[0].rank)" : "\(crowd.count) processes"
    return .problem(
      .cores,
      "\(who) on host \(node.host) with \(threads) threads together may run on \(words(cores)) alone, "
        + "and the node has \(node.ranks[0].allowedCores) cores for the job",
      do: crowd.count == 1
        ? "bind each process to as many cores as it has threads (mpirun --map-by slot:PE=\(threads)), or give --threads \(cores.count)"
        : "start with mpirun --bind-to none, or --map-by core --bind-to core; under Slurm unset SLURM_CPU_BIND, or give srun --cpu-bind=cores"
    )
  }

  /// Ranks that may run on the same few cores, which are fewer than their threads; nil if there are none.
  ///
  /// For each set of cores that some rank is bound to, all ranks count that are bound to nothing else.
  private static func crowd(in node: SurveyedNode) -> [RankSurvey]? {
    let masks = Set(node.ranks.map { Set($0.cores) }).sorted { ($0.count, $0.min() ?? 0) < ($1.count, $1.min() ?? 0) }
    for mask in masks {
      let members = node.ranks.filter { mask.isSuperset(of: $0.cores) }
      if members.reduce(0, { $0 + $1.threads }) > mask.count { return members }
    }
    return nil
  }

  /// The node has more threads than cores, or more than the processor time that it is allowed.
  private static func oversubscription(_ node: SurveyedNode) -> Finding? {
    let wanted = node.ranks.reduce(0) { $0 + $1.threads }
    let allowed = node.ranks[0].allowedCores
    let limit = node.ranks.compactMap(\.coreLimit).min()
    let remedy =
      "start fewer processes or give fewer --threads; if it is meant, let processes that wait yield: mpirun --mca mpi_yield_when_idle 1"
    // Whoever lets processes yield knows that they share cores.
    guard !node.ranks.allSatisfy(\.yieldsWhenIdle) else { return nil }
    if wanted > allowed {
      return .warning(
        .cores,
        "\(wanted) threads of \(node.processes) on host \(node.host) share \(allowed) core\(allowed == 1 ? "" : "s")",
        do: remedy)
    }
    guard let limit, Double(wanted) > limit.rounded(.up) else { return nil }
    let cores = Double(Int(limit * 10)) / 10
    return .warning(
      .cores,
      "\(wanted) threads of \(node.processes) on host \(node.host) share the time of \(cores) cores, which is all that "
        + "their control group allows",
      do: remedy + ", or raise the limit (cpu.max, docker run --cpus)")
  }

  private static func healthy(_ nodes: [SurveyedNode]) -> String {
    let ranks = nodes.flatMap(\.ranks)
    let threads = Set(ranks.map(\.threads))
    let cores = nodes.reduce(0) { $0 + Set($1.ranks.flatMap(\.cores)).count }
    let each = threads.count == 1 ? "\(ranks[0].threads)" : "\(threads.min() ?? 1) to \(threads.max() ?? 1)"
    return "\(each) thread\(each == "1" ? "" : "s") a process, on \(cores) core\(cores == 1 ? "" : "s")"
  }

  private static func words(_ cores: [Int]) -> String {
    let shown = cores.prefix(8).map(String.init).joined(separator: ", ")
    return cores.count == 1
      ? "core \(shown)" : "cores \(shown)" + (cores.count > 8 ? " and \(cores.count - 8) more" : "")
  }
}
