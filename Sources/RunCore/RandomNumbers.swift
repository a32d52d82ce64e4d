import CKernels

/// A source of random numbers that are a function of seed, tensor name, purpose and index alone.
///
/// So no rank has to tell another which numbers it has drawn.
package struct RandomNumbers {
  /// What random numbers are used for. Different purposes get different numbers for the same seed and tensor.
  package enum Purpose: UInt64 {
    case sampling = 1
    case scores = 2
    case sketch = 3
    case audit = 4
    case shuffle = 5
    case bootstrap = 6
  }

  package let seed: UInt64
  /// The number of the stream that tensor name and purpose choose; `frog_random_bits` takes it with the seed.
  package let stream: UInt64

  /// Chooses the stream of a tensor for a purpose.
  package init(seed: UInt64, tensor name: String, for purpose: Purpose) {
    self.seed = seed
    var name = name
    stream = name.withUTF8 { frog_random_stream($0.baseAddress, $0.count, purpose.rawValue) }
  }

  /// The random number at index 0.
  package var first: UInt64 {
    var bits: UInt64 = 0
    frog_random_bits(seed, stream, 0, 1, &bits)
    return bits
  }
}
