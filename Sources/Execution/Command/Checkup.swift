import DistSVD
import Planning
import RunCore

/// The checks of `frog-mpi doctor` that cost next to nothing, which every run makes, and whose findings are warnings there.
struct Checkup {
  private let context: RunContext
  /// What all ranks say, on rank 0; empty on other ranks.
  private let surveys: [RankSurvey]

  /// Asks all ranks.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter threads: the number of BLAS threads of each rank.
  init(threads: Int, in context: RunContext) throws {
    self.context = context
    surveys = try RankSurvey.take(
      threads: threads, blas: LocalBLAS.description, files: context.site.files, launch: context.site.environment,
      world: context.world
    ).gathered(on: context.world)
  }

  /// Warns of a launch that makes a run slow, or makes it fail.
  func warnOfLaunch() {
    if !surveys.isEmpty { context.warn(LaunchFindings.all(surveys, context.site.environment)) }
  }

  /// Warns if the nodes do not have the memory that the schedules need.
  func warnOfMemory(_ planner: Planner) {
    if !surveys.isEmpty { context.warn([MemoryFindings.of(surveys, wanted: planner.plannedBytes, by: "the plan")]) }
  }
}
