import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// Decides whether a run begins, goes on, or has nothing left to do, once its identity is known.
package struct RunStart {
  private let identity: RunIdentity
  private let output: OutputDirectory
  /// Whether results of another run in the folder may be replaced.
  private let replaces: Bool

  init(_ identity: RunIdentity, in output: OutputDirectory, replaces: Bool) {
    self.identity = identity
    self.output = output
    self.replaces = replaces
  }

  /// The number of BLAS threads of the run that a folder holds, finished or not; nil if it holds none.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure`` if the folder holds results of another command.
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
  /// - Parameter claim: rank 0's claim on the folder; nil on the other ranks.
  /// - Returns: how far the run is, the same on every rank. Its identity is in the work folder then, unless the run is finished.
  /// - Throws: ``RunFailure`` that names each difference, if the folder holds another run.
  func settle(_ claim: OutputClaim?, world: Communicator) throws -> OutputDirectory.State {
    let own = try world.agreeing { try claim.map(settle) }
    let number = try world.broadcasting([own?.rawValue ?? 0])[0]
    guard let state = OutputDirectory.State(rawValue: number) else {
      throw RunFailure(.internal, "rank 0 found the output directory in a state that does not exist: \(number)")
    }
    return state
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

  /// Writes the identity into the work folder: from here on there is a run to resume.
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
