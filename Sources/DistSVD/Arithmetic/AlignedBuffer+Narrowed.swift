/// Copies a buffer to single precision, rounding to nearest.
func narrowed<Scalar: RealScalar>(_ source: AlignedBuffer<Scalar>) throws(SolverError) -> AlignedBuffer<Float> {
  let result = try AlignedBuffer<Float>(count: source.count)
  let (from, to) = (source.start, result.start)
  for index in 0..<source.count { to[index] = Float(from[index]) }
  return result
}
