extension Int {
  /// The sum, or the largest Int: the sizes that sparse files claim may add up to more than Int holds.
  package func addingSaturated(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
