import MPI
import Testing

@Suite("Launch environment")
struct LaunchEnvironmentTests {
  private static func environment(_ variables: KeyValuePairs<String, String>) -> LaunchEnvironment {
    LaunchEnvironment { name in variables.first { $0.key == name }?.value }
  }

  @Test(
    "accepts every launch that gives the ranks it was asked for",
    arguments: [
      (environment([:]), 1),  // started by hand
      (environment(["SLURM_NTASKS": "4", "SLURM_PROCID": "0"]), 1),  // a batch script, which is no task
      (environment(["OMPI_COMM_WORLD_SIZE": "8"]), 8),  // mpirun on a workstation
      // mpirun: its daemons are the Slurm tasks
      (environment(["OMPI_COMM_WORLD_SIZE": "8", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"]), 8),
      (environment(["SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8"]), 8),  // srun --mpi=pmix
    ])
  func accepts(environment: LaunchEnvironment, worldSize: Int) {
    #expect(environment.mismatch(worldSize: worldSize) == nil)
  }

  @Test(
    "refuses tasks that each became a world of their own, and says what to do",
    arguments: [
      (environment(["SLURM_STEP_ID": "0", "SLURM_NTASKS": "4"]), "srun", "--mpi=pmix"),
      (environment(["OMPI_COMM_WORLD_SIZE": "4"]), "mpirun", "PMIx"),
      (environment(["PMI_SIZE": "4"]), "mpiexec", "mpirun"),
    ])
  func refuses(environment: LaunchEnvironment, launcher: String, remedy: String) throws {
    let problem = try #require(environment.mismatch(worldSize: 1))
    #expect(problem.found.contains("4 separate processes, not one run of 4"))
    #expect(problem.found.contains("\(launcher)") && problem.found.contains("4 tasks"))
    #expect(problem.found.contains("1 rank)") && problem.remedy.contains(remedy))
  }

  @Test("knows before MPI starts that tasks cannot find each other")
  func isolation() throws {
    let step = ["SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3"]
    func problem(_ more: [String: String], under library: String = "Open MPI v4.1.4") -> LaunchEnvironment.Problem? {
      LaunchEnvironment { more[$0] ?? step[$0] }.isolation(under: library)
    }
    let found = try #require(problem([:]))
    #expect(found.found == "3 separate processes, not one run of 3 (srun started 3 tasks, without PMIx)")
    #expect(found.remedy.contains("--mpi=pmix"))
    #expect(
      problem(["PMIX_RANK": "0"]) == nil && problem(["PMI_FD": "7"]) == nil && problem(["OMPI_MCA_pmix": "s1"]) == nil)
    #expect(problem(["OMPI_COMM_WORLD_SIZE": "3"]) == nil && problem(["SLURM_STEP_NUM_TASKS": "1"]) == nil)
    #expect(problem([:], under: "MPICH 4.1") == nil)
  }

  @Test("knows which process speaks for tasks that cannot talk to each other")
  func speaker() {
    #expect(Self.environment([:]).isFirst)
    #expect(Self.environment(["SLURM_STEP_ID": "0", "SLURM_PROCID": "0"]).isFirst)
    #expect(!Self.environment(["SLURM_STEP_ID": "0", "SLURM_PROCID": "3"]).isFirst)
    #expect(!Self.environment(["PMI_RANK": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"]).isFirst)
    // Outside of a step it is the variable of a batch script, or of whoever has started this process.
    #expect(Self.environment(["SLURM_PROCID": "3"]).isFirst)
  }
}
