import RunCore

/// What `frog-mpi doctor` says of its findings.
struct DoctorReport {
  /// Problems first, then warnings, then what is fine; within each by topic.
  let findings: [Finding]

  init(_ findings: [Finding]) {
    self.findings = [.problem, .warning, .fine].flatMap { severity in
      Finding.Topic.allCases.flatMap { topic in findings.filter { $0.severity == severity && $0.topic == topic } }
    }
  }

  private var problems: [Finding] { findings.filter { $0.severity == .problem } }

  /// The status with which a run would end.
  var status: ExitStatus { problems.first?.failure.map { ExitStatus($0) } ?? .success }

  /// The first problem, for standard error; nil if there is none.
  var complaint: String? {
    guard let first = problems.first else { return nil }
    let others = problems.count - 1
    return first.sentence
      + (others > 0 ? " (and \(others) more problem\(others == 1 ? "" : "s"), on standard output)" : "")
  }

  /// One line if all is well, else a line for each finding.
  func text(isVerbose: Bool) -> String {
    guard isVerbose || findings.contains(where: { $0.severity != .fine }) else {
      let shown: [Finding.Topic] = [.launch, .cores, .memory, .output, .libraries]
      return "healthy: " + findings.filter { shown.contains($0.topic) }.map(\.found).joined(separator: "; ") + "\n"
    }
    let severities = findings.map(\.severity.rawValue)
    let topics = findings.map(\.topic.rawValue)
    func padded(_ word: String, _ words: [String]) -> String {
      word + String(repeating: " ", count: (words.map(\.count).max() ?? 0) - word.count + 2)
    }
    return findings.map { finding in
      padded(finding.severity.rawValue, severities) + padded(finding.topic.rawValue, topics) + finding.sentence + "\n"
    }.joined()
  }

  /// The document that `--json` prints.
  var json: String {
    get throws {
      String(
        decoding: try Document.encode(
          Content(healthy: !findings.contains { $0.severity != .fine }, exitStatus: status.rawValue, findings: findings)
        ),
        as: UTF8.self)
    }
  }

  private struct Content: Encodable {
    let healthy: Bool
    let exitStatus: Int32
    let findings: [Finding]

    enum CodingKeys: String, CodingKey {
      case healthy, findings
      case exitStatus = "exit_status"
    }
  }
}
