import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// Decides whether a run begins, goes on, or has nothing left to do, once it is known what it is.
package struct RunStart {
  private let identity: RunIdentity
  private let output: OutputDirectory
  /// Whether the results of another run may be replaced.
  private let replaces: Bool

  init(_ identity: RunIdentity, in output: OutputDirectory, replaces: Bool) {
    self.identity = identity
    self.output = output
    self.replaces = replaces
  }

  /// With how many threads the run in a folder began, or was finished; nil if there is none.
  ///
  /// Collective: every rank calls it.
  package static func threads(in output: OutputDirectory, world: Communicator) throws -> Int? {
    let threads = try world.agreeing {
      guard world.isRoot, try Folder.exists(output.path) else { return 0 }
      let names = try Folder.names(in: output.path)
      try output.checkIsOurs(names)
      if try Folder.exists(output.identityFile) { return try RunIdentity(in: output).threads }
      return names.contains(output.kind.lastName) ? try output.kind.threads(output.path) : 0
    }
    let known = try world.broadcasting([threads])[0]
    return known > 0 ? known : nil
  }

  /// Compares what lies in the folder with what is asked, and makes the folder ready for it.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter claim: on rank 0.
  /// - Returns: what the run finds, the same on every rank: its journal and identity are in the work folder, unless it is finished.
  /// - Throws: ``RunFailure`` naming each difference.
  func settle(_ claim: OutputClaim?, world: Communicator) throws -> OutputDirectory.State {
    let states: [OutputDirectory.State] = [.fresh, .unfinished, .committed, .finished]
    let number = try world.agreeing { try claim.map { states.firstIndex(of: try settle($0)) ?? 0 } ?? 0 }
    return states[try world.broadcasting([number])[0]]
  }

  private func settle(_ claim: OutputClaim) throws -> OutputDirectory.State {
    switch claim.state {
    case .fresh:
      try begin()
    case .unfinished, .committed:
      try refuse(RunIdentity(in: output).differences(now: identity), of: "the run in")
      if claim.state == .unfinished { try claim.tidy() }
    case .finished:
      let differences = try output.kind.identity(output.path, identity).differences(now: identity)
      if !differences.isEmpty, replaces {
        try claim.startAnew()
        try begin()
        return .fresh
      }
      try refuse(differences, of: "the finished run in")
      try claim.remove()
    }
    return claim.state
  }

  private func begin() throws {
    try DurableFile.writeWhole(try Document.encode(identity), to: output.identityFile)
  }

  private func refuse(_ differences: [String], of what: String) throws {
    guard differences.isEmpty else {
      throw RunFailure(
        .usage,
        "\(what) \(shown(output.path)) is another one: \(differences.joined(separator: "; ")); "
          + "start anew with --overwrite, or choose another --out")
    }
  }
}
