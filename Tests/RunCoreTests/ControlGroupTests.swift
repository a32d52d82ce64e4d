import Testing

@testable import RunCore

@Suite("Control groups")
struct ControlGroupTests {
  /// A system that consists of these files.
  private func reader(_ files: [String: String]) -> ControlGroup.Reader { { files[$0] } }

  @Test("the limits of a group and those above it, of either version")
  func limits() {
    let second = reader([
      "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n",
      "/sys/fs/cgroup/a/memory.max": "5000\n",
    ])
    #expect(ControlGroup.chain(of: "memory", read: second).map(\.name) == ["/a/b", "/a", "/"])
    #expect(ControlGroup.chain(of: "memory", read: second).map { $0.memoryLimit(read: second) } == [nil, 5000, nil])
    let first = reader([
      "/proc/self/cgroup": "9:name=systemd:/\n4:memory:/job\n1:cpu:/\n",
      "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "7000",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    ])
    #expect(ControlGroup.chain(of: "memory", read: first).map { $0.memoryLimit(read: first) } == [7000, nil])
    let none = reader(["/proc/self/cgroup": "0::/\nnonsense\n"])
    #expect(ControlGroup.chain(of: "memory", read: none).compactMap { $0.memoryLimit(read: none) } == [])
  }

  @Test("processor time and cores, of either version")
  func cores() {
    let files = reader([
      "/proc/self/cgroup": "0::/job\n3:cpuset:/job\n2:cpu,cpuacct:/job\n",
      "/sys/fs/cgroup/job/cpu.max": "150000 100000\n",
      "/sys/fs/cgroup/cpu.max": "max 100000\n", "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "400000",
      "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000", "/sys/fs/cgroup/cpuset/job/cpuset.effective_cpus": "0-3,8\n",
      "/sys/fs/cgroup/cpuset/cpuset.effective_cpus": "nonsense",
    ])
    #expect(ControlGroup.chain(of: "cpu", read: files).map { $0.coreLimit(read: files) } == [1.5, nil, 4, nil])
    #expect(ControlGroup.chain(of: "cpuset", read: files).compactMap { $0.coreCount(read: files) } == [5])
  }

  @Test("what is available on a node, and the least limit if it is one")
  func memory() {
    #expect(NodeMemory.available(inMeminfo: "MemTotal: 9 kB\nMemAvailable:   24218144 kB\n") == 24_218_144 * 1024)
    #expect(NodeMemory.available(inMeminfo: "MemTotal: 9 kB\n") == nil)
    #expect(NodeMemory.available(inMeminfo: "MemAvailable: lots kB\n") == nil)
    func look(limit: String) -> NodeMemory {
      NodeMemory.look(
        read: reader([
          "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 8 kB\n", "/proc/self/cgroup": "0::/job/step\n",
          "/sys/fs/cgroup/job/memory.max": limit,
        ]))
    }
    #expect(look(limit: "5000") == NodeMemory(total: 9216, available: 8192, limit: 5000, group: "/job"))
    #expect(look(limit: "1000000") == NodeMemory(total: 9216, available: 8192))
  }
}

@Suite("Kills for lack of memory")
struct KillCountsTests {
  /// A machine with a job in a group of version 2, and so many kills in the group, in all groups of Slurm, and altogether.
  private func machine(job: Int?, slurm: Int, all: Int, boot: String = "b\n") -> ControlGroup.Reader {
    { path in
      switch path {
      case "/proc/self/cgroup": "0::/slurm/job_7\n"
      case "/proc/sys/kernel/random/boot_id": boot
      case "/proc/vmstat": "nr_free_pages 7\noom_kill \(all)\n"
      case "/sys/fs/cgroup/slurm/job_7/memory.events": job.map { "low 0\noom 9\noom_kill \($0)\noom_group_kill 0\n" }
      case "/sys/fs/cgroup/slurm/job_7/memory.max": "max\n"
      case "/sys/fs/cgroup/slurm/memory.events": "oom_kill \(slurm)\n"
      case "/sys/fs/cgroup/slurm/memory.max": "16000000000\n"
      default: nil
      }
    }
  }

  private func sentence(now read: ControlGroup.Reader) -> String? {
    let counts = KillCounts.look(read: machine(job: 2, slurm: 3, all: 4))
    return MemoryAtStart.Node(
      host: "n7", ranks: 4, largestRank: 5_000_000_000, allRanks: 20_000_000_000, counts: counts
    )
    .sentence(read: read)
  }

  @Test("counts are those of the group and the groups above it that count")
  func counts() {
    let counts = KillCounts.look(read: machine(job: 2, slurm: 3, all: 4))
    #expect(
      counts.groups == [
        .init(folder: "/sys/fs/cgroup/slurm/job_7", name: "/slurm/job_7", limit: nil, kills: 2),
        .init(folder: "/sys/fs/cgroup/slurm", name: "/slurm", limit: 16_000_000_000, kills: 3),
      ])
    #expect(counts.boot == "b" && counts.kills == 4)
    #expect(sentence(now: machine(job: 2, slurm: 3, all: 4)) == nil)
  }

  @Test("a kill in the group of the run names the limit that holds it, and what the plan wanted")
  func group() throws {
    let words = try #require(sentence(now: machine(job: 3, slurm: 4, all: 5)))
    #expect(
      words.contains(
        "the memory limit of 16.0 GB of control group /slurm has ended a process since the run began, probably"))
    #expect(words.contains("up to 5.0 GB a process, 20.0 GB for 4 processes on host n7") && words.contains("--memory"))
  }

  @Test("a kill elsewhere is told with less certainty, since the group of a finished job is gone")
  func elsewhere() throws {
    let above = try #require(sentence(now: machine(job: nil, slurm: 5, all: 6)))
    #expect(above.contains("control group /slurm has ended 2 processes since the run began, perhaps of this run"))
    let machine = try #require(sentence(now: machine(job: nil, slurm: 3, all: 6)))
    #expect(
      machine.contains("a lack of memory on host n7 has ended 2 processes since the run began, perhaps of this run"))
    #expect(sentence(now: self.machine(job: nil, slurm: 3, all: 4)) == nil)
  }

  @Test("counts of a machine that was started anew tell nothing")
  func boot() {
    #expect(sentence(now: machine(job: 9, slurm: 9, all: 9, boot: "c\n")) == nil)
  }
}
