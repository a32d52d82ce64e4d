import MPI
import Testing

@Suite("Launch environment")
struct LaunchEnvironmentTests {
  @Test(
    "accepts every launch that gives the ranks it was asked for",
    arguments: [
      (LaunchEnvironment(slurmTasks: nil, hasMPILauncher: false), 1),  // started by hand
      (LaunchEnvironment(slurmTasks: nil, hasMPILauncher: true), 8),  // mpirun on a workstation
      (LaunchEnvironment(slurmTasks: 2, hasMPILauncher: true), 8),  // mpirun: its daemons are the Slurm tasks
      (LaunchEnvironment(slurmTasks: 8, hasMPILauncher: false), 8),  // srun --mpi=pmix
    ])
  func accepts(environment: LaunchEnvironment, worldSize: Int) {
    #expect(environment.mismatch(worldSize: worldSize) == nil)
  }

  @Test("refuses tasks that each became a world of their own, and says what to do")
  func refuses() throws {
    let problem = LaunchEnvironment(slurmTasks: 4, hasMPILauncher: false).mismatch(worldSize: 1)
    let text = try #require(problem)
    #expect(text.contains("4 tasks") && text.contains("1 rank:") && text.contains("--mpi=pmix"))
  }
}
