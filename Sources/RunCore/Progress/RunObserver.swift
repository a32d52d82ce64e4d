/// A listener that is told how a run goes. Its methods are called on rank 0 only, from the thread that works.
package protocol RunObserver: AnyObject {
  /// Whether the listener wants to know how far the run is. Ranks send rank 0 no reports if not.
  var wantsProgress: Bool { get }
  /// Tells that something is odd but can be lived with.
  func warn(_ message: String)
  /// Tells that an earlier process has finished some of the matrices of a stage.
  func resumed(_ finished: Int, of count: Int)
  /// Tells that a stage has begun, or a part of one that has a name of its own.
  func began(_ progress: ProgressSnapshot)
  /// Tells how far all ranks are, a few times a second at most.
  func advanced(_ progress: ProgressSnapshot)
  /// Tells that a stage is done.
  func ended(_ progress: ProgressSnapshot)
}

/// Lets everything pass in silence.
package final class SilentObserver: RunObserver {
  package init() {}
  package let wantsProgress = false
  package func warn(_ message: String) {}
  package func resumed(_ finished: Int, of count: Int) {}
  package func began(_ progress: ProgressSnapshot) {}
  package func advanced(_ progress: ProgressSnapshot) {}
  package func ended(_ progress: ProgressSnapshot) {}
}
