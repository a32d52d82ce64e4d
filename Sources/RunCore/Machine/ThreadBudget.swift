import CKernels
import MPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// How many threads a rank may use without taking cores from the other ranks of its node.
package enum ThreadBudget {
  /// The number of cores in this rank's affinity mask, divided among the ranks of its node that have the same mask.
  ///
  /// mpirun binds ranks to cores of their own, or, when there are more ranks than cores, lets all use every core: in
  /// either case the ranks of a node together get as many threads as it has cores, and each gets at least one.
  ///
  /// Collective: every rank calls it.
  package static func automatic(_ world: Communicator) throws -> Int {
    let mask = affinityMask()
    let masks = try world.splitByNode().allGather(mask)
    let sharers = masks.filter { $0 == mask }.count
    return max(1, mask.reduce(0) { $0 + $1.nonzeroBitCount } / max(1, sharers))
  }

  /// The number of threads of each rank, the same on every rank: the one that was asked for, or ``automatic(_:)`` where that is least.
  ///
  /// Collective: every rank calls it.
  package static func agreed(given: Int?, _ world: Communicator) throws -> Int {
    let automatic = try automatic(world)
    return try world.allReduced(given ?? automatic, .minimum)
  }

  /// The number of cores that this process may use, at least 1.
  package static var cores: Int { max(1, affinityMask().reduce(0) { $0 + $1.nonzeroBitCount }) }

  /// The number of cores of this machine that are switched on, at least 1.
  ///
  /// C function: sysconf(3).
  static var coresOnline: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// The numbers of the cores that this process may run on, ascending.
  static var coreNumbers: [Int] {
    affinityMask().enumerated().flatMap { index, word in
      (0..<64).filter { word >> $0 & 1 == 1 }.map { 64 * index + $0 }
    }
  }

  /// The cores that this process may run on, one bit for each; a single core where the system does not tell.
  private static func affinityMask() -> [UInt64] {
    var words = [UInt64](repeating: 0, count: 64)
    return frog_affinity(&words, words.count) == 0 ? words : [1]
  }
}
