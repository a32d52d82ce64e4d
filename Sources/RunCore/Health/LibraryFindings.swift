/// Whether all ranks have the same libraries.
enum LibraryFindings {
  static func of(_ ranks: [RankSurvey]) -> [Finding] {
    [
      difference(ranks, \.mpi, "MPI"), difference(ranks, { $0.pmix ?? "none" }, "PMIx"), kernels(ranks),
      launcher(ranks),
    ]
    .compactMap { $0 } + [.fine(.libraries, description(ranks))]
  }

  /// The libraries of rank 0 in words.
  static func description(_ ranks: [RankSurvey]) -> String {
    guard let first = ranks.first else { return "" }
    let pmix = first.pmix.map { ", \(short($0))" } ?? ""
    return "\(short(first.mpi))\(pmix), \(first.blas)"
  }

  /// A library's own words up to the first comma or bracket, such as `Open MPI v4.1.4`.
  private static func short(_ text: String) -> String {
    let words = text.prefix { $0 != "," && $0 != "(" }
    return words.split(separator: " ").joined(separator: " ")
  }

  /// The problem if the ranks have several versions of a library that talks to the others.
  private static func difference(
    _ ranks: [RankSurvey], _ version: (RankSurvey) -> String, _ name: String
  ) -> Finding? {
    guard let (first, other) = firstDifferent(ranks, version) else { return nil }
    return .problem(
      .libraries,
      "\(name) is \(short(version(first))) on host \(HostName.shown(first.host)) and \(short(version(other))) on host "
        + HostName.shown(other.host),
      do: "let all nodes load the same modules or image")
  }

  /// The warning if BLAS has chosen other kernels on other hosts.
  private static func kernels(_ ranks: [RankSurvey]) -> Finding? {
    guard let (first, other) = firstDifferent(ranks, \.blas) else { return nil }
    return .warning(
      .libraries,
      "BLAS is \(first.blas) on host \(HostName.shown(first.host)) and \(other.blas) on host \(HostName.shown(other.host)), which round "
        + "differently, so the last bits depend on who does what",
      do: "take nodes of one kind, or set OPENBLAS_CORETYPE to a kind that all have")
  }

  /// The warning if the launcher speaks a PMIx of another generation than the program.
  private static func launcher(_ ranks: [RankSurvey]) -> Finding? {
    func generation(_ text: String) -> Int? { Int(text.drop { !$0.isNumber }.prefix { $0.isNumber }) }
    for rank in ranks {
      guard let own = rank.pmix, let other = rank.launcherPMIx, let mine = generation(own),
        let theirs = generation(other), mine != theirs
      else { continue }
      return .warning(
        .libraries,
        "the launcher speaks PMIx \(HostName.shown(other)) and the program \(HostName.shown(short(own))) on host "
          + HostName.shown(rank.host),
        do: "if processes do not find each other, give the program (or its container) the PMIx of the host")
    }
    return nil
  }

  private static func firstDifferent(
    _ ranks: [RankSurvey], _ value: (RankSurvey) -> String
  ) -> (RankSurvey, RankSurvey)? {
    guard let first = ranks.first, let other = ranks.first(where: { value($0) != value(first) }) else { return nil }
    return (first, other)
  }
}
