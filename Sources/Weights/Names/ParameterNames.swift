/// The software whose names of parameters are written beside the masks, where they differ from the checkpoint's.
package enum ParameterNames: String, Sendable, CaseIterable {
  /// The names that transformers 5 gives to what it loads.
  case transformers5
}
