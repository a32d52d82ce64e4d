/// How many weights are kept.
enum Quota {
  /// So many of the whole model.
  case global(Int)
  /// So many of each matrix, by ordinal.
  case each([Int])
}
