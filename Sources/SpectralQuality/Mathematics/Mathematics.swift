#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// The functions of the C library under names of our own, so that no other file of this module imports it.

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
func exponential(_ x: Double) -> Double { exp(x) }
func naturalLog(_ x: Double) -> Double { log(x) }
func decimalLog(_ x: Double) -> Double { log10(x) }
/// ln(1 + x), with the digits that adding 1 would lose.
func naturalLog(onePlus x: Double) -> Double { log1p(x) }
func cosine(_ x: Double) -> Double { cos(x) }

/// A sum that keeps the part which each addition rounds off (Neumaier 1974), so that its error does not grow with the
/// number of terms.
struct CompensatedSum {
  private var total = 0.0
  private var lost = 0.0

  var value: Double { total + lost }

  mutating func add(_ term: Double) {
    let sum = total + term
    lost += abs(total) >= abs(term) ? (total - sum) + term : (term - sum) + total
    total = sum
  }
}

extension Sequence<Double> {
  /// The sum of the elements, by ``CompensatedSum``.
  var compensatedSum: Double {
    var sum = CompensatedSum()
    for value in self { sum.add(value) }
    return sum.value
  }
}

extension Array<Double> {
  /// The first index of an ascending array whose element is `bound` or more. O(log count).
  func lowerBound(_ bound: Double) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if self[middle] < bound { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The elements in ascending order. O(count) if they are so already.
  var ascending: [Double] { zip(self, dropFirst()).allSatisfy { $0 <= $1 } ? self : sorted() }
}
