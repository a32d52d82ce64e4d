import DistSVD
import RunCore
import ShardIO

/// What is asked of the factors of every matrix.
package struct FactorChoice: Codable, Sendable, Equatable, ShapingOptions {
  /// The number of leading triplets of each matrix; nil for all. A matrix that has fewer gives all.
  @ExplicitNull package var rank: Int?
  /// The type in which singular vectors are stored.
  package var dtype: FactorType

  package init(rank: Int? = nil, dtype: FactorType = .f32) {
    self.rank = rank
    self.dtype = dtype
  }

  package var words: OptionWords {
    var words = OptionWords()
    words.add("--rank", rank)
    words.add("--dtype", dtype)
    return words
  }

  /// The triplets that are wanted of every matrix.
  package var triplets: Triplets { rank.map { .leading($0) } ?? .all }

  /// The number of triplets of a matrix with min(m, n) = `order`.
  package func count(order: Int) -> Int { triplets.positions(order: order).count }
}

/// A type in which singular vectors are stored. Singular values are always F32.
package enum FactorType: String, Codable, Sendable, CaseIterable {
  case f32, bf16

  /// The type in a header of safetensors.
  package var stored: DType {
    switch self {
    case .f32: .f32
    case .bf16: .bf16
    }
  }

  /// The bytes of an element.
  package var width: Int { stored.bits / 8 }

  /// The nearest number of the type, ties to even.
  package func rounded(_ value: Float) -> Float {
    switch self {
    case .f32: value
    case .bf16: Float(bitPattern: UInt32(Self.upperBits(value)) << 16)
    }
  }

  /// The BF16 nearest to a finite number, as its 16 bits.
  package static func upperBits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }
}
