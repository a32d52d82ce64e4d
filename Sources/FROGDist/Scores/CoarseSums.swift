import CKernels
import Execution
import MPI

/// Adds up the scores of a matrix by the coarse bins of what ranks them, in the order of the panels, whichever member made them.
///
/// The **coarse bin** of a value is the upper 12 bits of its key: a range of relative width 2⁻³, eight to an octave. The scores of each
/// panel are added up alone, and the sums of panels in the order of panels. So the result does not depend on who made which panel.
struct CoarseSums {
  static let binCount = 1 << 12

  /// The sums so far, by coarse bin; of a rank that works alone, or once the team has exchanged them.
  private var bins = [Double](repeating: 0, count: binCount)
  private let team: Communicator?
  /// The sums of this member's panels until they are exchanged: bin, sum, bin, sum, …
  private var own: [[Double]] = []

  init(_ task: MatrixTask) { team = task.team?.communicator }

  /// Counts the values of a panel of this rank in `tally`, and adds its scores. Panels must come in order.
  mutating func add(
    _ scores: UnsafeMutableBufferPointer<Float>, rankedBy values: UnsafeMutableBufferPointer<Float>,
    counting tally: inout Tally
  ) {
    var sums = [Double](repeating: 0, count: Self.binCount)
    tally.count(values, adding: scores, to: &sums)
    let found = sums.indices.filter { sums[$0] != 0 }
    guard team != nil else { return found.forEach { bins[$0] += sums[$0] } }
    own.append(found.flatMap { [Double($0), sums[$0]] })
  }

  /// The sums that are not 0, in ascending order of bins, each after its bin; the same on every member.
  ///
  /// Collective in a team: every member calls it, once all panels have been added.
  mutating func finish() throws -> [Double] {
    if let team {
      for member in 0..<team.size {
        let numbers = try team.broadcasting(member == team.rank ? own.flatMap { $0 } : [], from: member)
        // The pairs of one panel come before those of the next, so that sums are formed in the order of panels.
        for index in stride(from: 0, to: numbers.count, by: 2) { bins[Int(numbers[index])] += numbers[index + 1] }
      }
    }
    return bins.indices.flatMap { bins[$0] == 0 ? [] : [Double($0), bins[$0]] }
  }

  /// The sums of all coarse bins; nil if `pairs` is not a result of ``finish()``.
  static func decode(_ pairs: [Double]) -> [Double]? {
    guard pairs.count % 2 == 0 else { return nil }
    var bins = [Double](repeating: 0, count: binCount)
    for index in stride(from: 0, to: pairs.count, by: 2) {
      guard let bin = Int(exactly: pairs[index]), bins.indices.contains(bin), pairs[index + 1] > 0 else { return nil }
      bins[bin] = pairs[index + 1]
    }
    return bins
  }
}
