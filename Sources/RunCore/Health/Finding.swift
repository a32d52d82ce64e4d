/// Something that was found out about the place where a run is to work: whether it is a problem, and what to do.
package struct Finding: Encodable, Sendable, Equatable {
  /// What the finding is about.
  ///
  /// The cases stand in the order in which findings are listed.
  package enum Topic: String, Encodable, Sendable, CaseIterable {
    case launch
    case answers
    case cores
    case memory
    case sharedMemory = "shared memory"
    case temporaryFiles = "temporary files"
    case checkpoint
    case output
    case libraries
  }

  /// How bad it is.
  package enum Severity: String, Encodable, Sendable {
    case fine
    /// A run works, but slowly, or may fail in some circumstances.
    case warning
    /// A run fails.
    case problem
  }

  package let topic: Topic
  package let severity: Severity
  /// What was found, in words.
  package let found: String
  /// What to do; nil if nothing has to be done.
  @ExplicitNull package var remedy: String?
  /// The kind of failure that the problem makes of a run; nil for what is no problem.
  package let failure: RunFailure.Kind?

  private enum CodingKeys: String, CodingKey { case topic, severity, found, remedy }

  /// A finding that needs no remedy.
  package static func fine(_ topic: Topic, _ found: String) -> Finding {
    Finding(topic: topic, severity: .fine, found: found, remedy: nil, failure: nil)
  }

  /// A finding that can be lived with.
  package static func warning(_ topic: Topic, _ found: String, do remedy: String) -> Finding {
    Finding(topic: topic, severity: .warning, found: found, remedy: remedy, failure: nil)
  }

  /// A finding that has to be mended.
  ///
  /// - Parameter remedy: what to do; nil if `found` says that too.
  package static func problem(
    _ topic: Topic, _ found: String, do remedy: String?, as failure: RunFailure.Kind = .usage
  ) -> Finding {
    Finding(topic: topic, severity: .problem, found: found, remedy: remedy, failure: failure)
  }

  /// What was found and what to do, in one line.
  package var sentence: String { remedy.map { "\(found): \($0)" } ?? found }
}
