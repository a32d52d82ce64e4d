/// The number of weights that are kept.
enum Quota {
  /// The number of weights that the whole model keeps, under one threshold.
  case global(Int)
  /// The number of weights that each matrix keeps, by ordinal.
  case each([Int])
}
