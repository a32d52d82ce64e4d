/// Hears how a run goes. Called on rank 0 only, from the thread that works.
package protocol RunObserver: AnyObject {
  /// Something is odd but not wrong.
  func warn(_ message: String)
  /// An earlier process has finished some of the matrices.
  func resumed(_ finished: Int, of count: Int)
  /// A stage has begun.
  func began(_ phase: String)
  /// This share, 0…1, of rank 0's part of the stage is done.
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
