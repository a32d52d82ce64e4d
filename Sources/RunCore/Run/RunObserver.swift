/// A listener that is told how a run goes. Its methods are called on rank 0 only, from the thread that works.
package protocol RunObserver: AnyObject {
  /// Tells that something is odd but can be lived with.
  func warn(_ message: String)
  /// Tells that an earlier process has finished some of the matrices of a stage.
  func resumed(_ finished: Int, of count: Int)
  /// Tells that a stage has begun.
  func began(_ phase: String)
  /// Tells that this share, 0…1, of rank 0's part of the stage is done.
  func advanced(_ phase: String, to fraction: Double)
}

/// Lets everything pass in silence.
package final class SilentObserver: RunObserver {
  package init() {}
  package func warn(_ message: String) {}
  package func resumed(_ finished: Int, of count: Int) {}
  package func began(_ phase: String) {}
  package func advanced(_ phase: String, to fraction: Double) {}
}
