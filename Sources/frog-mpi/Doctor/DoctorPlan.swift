import Planning
import RunCore
import ShardIO
import SystemPackage
import Weights

/// What `frog-mpi doctor` finds out by planning a run on a checkpoint.
struct DoctorPlan {
  var findings: [Finding] = []
  /// The bytes that the run leaves or keeps for a while in the output folder; nil if that is not known.
  var bytesOnDisk: Int?

  init(findings: [Finding] = []) { self.findings = findings }

  /// Plans the run, and compares the memory it wants with that of the nodes.
  ///
  /// - Parameters:
  ///   - path: the checkpoint, or a list of shapes.
  ///   - layout: the processes, and what each of them may hold.
  init(
    _ path: FilePath, _ work: PlannedWork, _ options: CatalogOptions, _ layout: Layout, _ surveys: [RankSurvey]
  ) {
    let tensors: PlannedTensors
    do {
      let opened =
        try ShapesFile.isOne(path) ? ShapesFile.read(path, model: nil) : Checkpoint.open(path, io: .pread)
      tensors = try PlannedTensors(opened, options: options)
      if let refused = tensors.refused.first {
        let other = tensors.refused.count - 1
        findings.append(
          .problem(
            .checkpoint,
            "\(shown(path)) is refused: tensor \(quoted(refused.info.name)) \(refused.reason)"
              + (other > 0 ? ", and \(other) more" : ""),
            do: "leave such tensors out by --exclude, or take another checkpoint", as: .data))
      }
    } catch {
      findings = [Self.problem(.checkpoint, RunFailure(error))]
      return
    }
    do {
      let (run, chosen) = try work.run(tensors)
      let plan = try RunPlan(
        chosen.matrices, run, layout: layout, rates: MachineRates.load(threads: layout.threads))
      findings.append(MemoryFindings.of(surveys, wanted: plan.bytesByRank, by: "the plan"))
      bytesOnDisk = plan.bytesWritten.addingReportingOverflow(plan.bytesSpilled ?? 0).partialValue
    } catch {
      findings.append(Self.problem(.memory, RunFailure(error)))
    }
  }

  /// A failure that a run would end with, as a finding. Its message says what to do.
  static func problem(_ topic: Finding.Topic, _ failure: RunFailure) -> Finding {
    .problem(topic, failure.message, do: nil, as: failure.kind)
  }
}
