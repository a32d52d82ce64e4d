import CKernels
import ShardIO
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Tries out whether this process can get the threads and the memory that libraries are about to take.
///
/// MPI, BLAS and libdispatch do not report that they were refused a thread or memory. They wait for ever, end the process, or go on without
/// the thread and wait for it later. So everything is taken at once before, and given back.
///
/// Another process may take what was free a moment ago. Limits that are much too small are found in any case.
package struct ResourceTrial {
  /// The number of threads that are needed at once, beside those that there are.
  package var threads: Int
  /// The bytes of memory that are needed beside them, which need not be touched.
  package var bytes: Int

  package init(threads: Int, bytes: Int) {
    self.threads = threads
    self.bytes = bytes
  }

  /// The bytes of the smallest stack that is enough: twice what BLAS was seen to use.
  static let leastStack = 2 << 20

  /// Lets the threads that start from now on take few addresses, if there is a limit of them.
  package static func saveAddresses() {
    if ResourceLimit.addresses.bytes != nil { frog_share_arenas() }
  }

  /// Takes everything, and gives it back.
  ///
  /// - Throws: ``RunFailure`` of kind `.usage` that names the limit to be raised.
  /// - Complexity: two system calls for each thread. No memory is touched but the first page of each stack.
  package func run() throws(RunFailure) {
    if let stack = ResourceLimit.stack.bytes, stack < Self.leastStack {
      throw RunFailure(
        .usage,
        "a stack of \(Self.kibibytes(stack)) is too small: allow \(Self.kibibytes(Self.leastStack)) or more by ulimit -s"
      )
    }
    let memory = mmap(nil, max(1, bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let memory, memory != MAP_FAILED else { throw Self.lackOfMemory(bytes, Errno(rawValue: errno)) }
    defer { munmap(memory, max(1, bytes)) }
    let started = Self.start(threads)
    guard started == threads else { throw Self.lackOfThreads(threads, started) }
  }

  /// Starts threads that wait for each other, and ends them.
  ///
  /// - Returns: the number of threads that were started, which is less than `count` if the next one was refused.
  private static func start(_ count: Int) -> Int {
    let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    pthread_mutex_init(gate, nil)
    defer {
      pthread_mutex_destroy(gate)
      gate.deallocate()
    }
    pthread_mutex_lock(gate)
    var started: [pthread_t] = []
    while started.count < count {
      var thread = pthread_t()
      let code = pthread_create(
        &thread, nil,
        { gate in
          let gate = gate?.assumingMemoryBound(to: pthread_mutex_t.self)
          if let gate {
            pthread_mutex_lock(gate)
            pthread_mutex_unlock(gate)
          }
          return nil
        }, gate)
      guard code == 0 else { break }
      started.append(thread)
    }
    pthread_mutex_unlock(gate)
    for thread in started { pthread_join(thread, nil) }
    return started.count
  }

  private static func lackOfMemory(_ bytes: Int, _ error: Errno) -> RunFailure {
    RunFailure(
      .usage,
      "a process needs \(kibibytes(bytes)) more memory to begin (\(error)): raise \(limits("ulimit -v")), or start fewer processes and threads"
    )
  }

  private static func lackOfThreads(_ count: Int, _ started: Int) -> RunFailure {
    let memory = limits("")
    return RunFailure(
      .usage,
      "a process needs \(count) more threads to begin, and only \(started) can be started: raise \(memory.isEmpty ? "" : memory + " or ")"
        + "the limit of processes (ulimit -u, or pids.max of the control group), or set OPENBLAS_NUM_THREADS=1 and give --threads 1"
    )
  }

  /// The limits that are set, with their values; `others` if there are none.
  private static func limits(_ others: String) -> String {
    let found = [ResourceLimit.addresses, .data].compactMap { limit in
      limit.bytes.map { "\(limit.option) (\($0 / 1024) kB)" }
    }
    return found.isEmpty ? others : found.joined(separator: " and ")
  }

  /// An amount as ulimit counts it.
  private static func kibibytes(_ bytes: Int) -> String { "\(bytes / 1024) kB" }
}
