import Foundation
import ShardIO
import SystemPackage
import TestSupport
import Testing

@testable import Comparison
@testable import Execution
@testable import FROGDist
@testable import RunCore
@testable import Spectra
@testable import Weights

/// As frog-mpi has them.
private let kinds = [MaskFiles.one, AnalysisFiles.kind, ComparisonFiles.kind]

@Suite("Identity of a run")
struct RunIdentityTests {
  private func identity(
    keep: Int? = nil, budget: Double? = 0.01, version: String = "1", header: String = "h", weights: String = "w",
    bytes: Int = 10, file: String = "a.safetensors"
  ) -> RunIdentity {
    var parameters = RecordTests.record.parameters
    (parameters.keep, parameters.budget) = (keep, budget)
    return RunIdentity(
      version: version, command: "mask",
      options: MaskFiles.words([parameters], names: nil, audit: nil, teams: .memory),
      threads: parameters.tensors.threads,
      sources: [
        "checkpoint": .init(
          RecordTests.record.checkpoint, shards: [.init(file: file, bytes: bytes, header: header, weights: weights)])
      ])
  }

  @Test("of the same run has no differences, also when read back")
  func same() throws {
    let folder = try TemporaryFolder()
    let output = OutputDirectory(folder.path, of: MaskFiles.one, among: kinds)
    try Folder.create(output.work)
    try DurableFile.writeWhole(Document.encode(identity()), to: output.identityFile)
    let back = try RunIdentity(in: output)
    #expect(back.differences(now: identity()) == [])
    #expect(try back.digest() == identity().digest())
    #expect(try identity(budget: 0.02).digest() != identity().digest())
  }

  @Test("names each difference")
  func differences() {
    let begun = identity()
    #expect(begun.differences(now: identity(budget: 0.05)) == ["--budget was 0.01, is 0.05"])
    #expect(
      begun.differences(now: identity(keep: 3, budget: nil)) == ["--budget was 0.01, is none", "--keep was none, is 3"])
    #expect(begun.differences(now: identity(version: "2")) == ["the program was version 1, is 2"])
    #expect(
      begun.differences(now: identity(header: "i")) == [
        "the checkpoint was another one: the header of 'a.safetensors' has changed"
      ])
    #expect(
      begun.differences(now: identity(weights: "x")) == [
        "the checkpoint was another one: weights in 'a.safetensors' have changed"
      ])
    #expect(
      begun.differences(now: identity(bytes: 11)) == [
        "the checkpoint was another one: 'a.safetensors' had 10 bytes, has 11"
      ])
    #expect(
      begun.differences(now: identity(file: "b.safetensors")) == [
        "the checkpoint was another one: 'a.safetensors' held weights, does not now, 'b.safetensors' is new"
      ])
  }
}
