import ShardIO
import Weights

/// A rule for the elements of one tensor of a mask file, which are looked at in their order.
protocol TensorRule {
  associatedtype Element: BitwiseCopyable
  /// What is wrong with the next element; nil if nothing is.
  mutating func complaint(about element: Element, at position: Int) -> String?
  /// What is wrong with all elements together; nil if nothing is.
  var complaintAtEnd: String? { get }
}

extension TensorRule {
  var complaintAtEnd: String? { nil }

  /// The first complaint about elements as they are stored; nil if there is none.
  ///
  /// - Parameter offset: the position of the bytes in the tensor; they are whole elements.
  mutating func complaint(about bytes: UnsafeRawBufferPointer, at offset: Int) -> String? {
    let width = MemoryLayout<Element>.stride
    let first = offset / width
    for index in 0..<bytes.count / width {
      let element = bytes.loadUnaligned(fromByteOffset: index * width, as: Element.self)
      if let problem = complaint(about: element, at: first + index) { return problem }
    }
    return nil
  }
}

/// The rule of indices: they ascend, none comes twice, and each lies in the part of the stored tensor that is its matrix.
struct AscendingIndices<Index: FixedWidthInteger & BitwiseCopyable>: TensorRule {
  private let output: RecordedOutput
  private let size: Int
  private var last = -1
  private var owner: KeptOwner
  private var blocks: WholeBlockRule?

  /// - Parameter blocks: counts the kept weights of one block after the other; nil if weights are kept one by one.
  init(_ output: RecordedOutput, _ blocks: WholeBlockRule?) {
    self.output = output
    size = output.tensors.storedSize
    owner = KeptOwner(kept: output.tensors.kept)
    self.blocks = blocks
  }

  mutating func complaint(about index: Index, at position: Int) -> String? {
    defer { last = Int(index) }
    guard Int(index) > last, Int(index) < size else {
      return "index \(index) at position \(position) follows \(last); indices ascend from 0 to \(size - 1)"
    }
    let expert = owner.expert(at: position)
    guard let place = output.slices[expert].position(ofStored: Int(index)) else {
      return "index \(index) at position \(position) lies outside \(quoted(output.matrices[expert].name))"
    }
    return blocks?.complaint(keeping: place, of: expert)
  }

  var complaintAtEnd: String? { blocks?.complaintAtEnd }
}

/// The rule of a bitmap: every expert has as many bits as weights are kept, and no bit lies beyond the last column of a row.
struct BitmapBits: TensorRule {
  private let wanted: MaskTensors
  private let padding: Int
  /// The bytes of one expert.
  private let bytes: Int
  private var bits: [Int]
  private var blocks: WholeBlockRule?

  /// - Parameter blocks: counts the kept weights of one block after the other; nil if weights are kept one by one.
  init(_ wanted: MaskTensors, _ blocks: WholeBlockRule?) {
    self.wanted = wanted
    self.blocks = blocks
    padding = wanted.bitmapStride * 8 - wanted.columns
    bytes = wanted.rows * wanted.bitmapStride
    bits = [Int](repeating: 0, count: wanted.kept.count)
  }

  mutating func complaint(about byte: UInt8, at position: Int) -> String? {
    bits[position / bytes] += byte.nonzeroBitCount
    let (line, start) = position.quotientAndRemainder(dividingBy: wanted.bitmapStride)
    if start == wanted.bitmapStride - 1, byte.leadingZeroBitCount < padding {
      return "bits are set beyond column \(wanted.columns - 1)"
    }
    guard blocks != nil, byte != 0 else { return nil }
    let (expert, row) = line.quotientAndRemainder(dividingBy: wanted.rows)
    for bit in 0..<8 where byte & 1 << UInt8(bit) != 0 {
      if let complaint = blocks?.complaint(keeping: row * wanted.columns + start * 8 + bit, of: expert) {
        return complaint
      }
    }
    return nil
  }

  var complaintAtEnd: String? {
    guard bits != wanted.kept else { return blocks?.complaintAtEnd }
    return "has \(bits.reduce(0, +)) bits set, should be \(wanted.keptTotal)"
      + (wanted.isStack ? ", or has them in other experts" : "")
  }
}

/// The rule of scores and noise factors: they are finite, and not below what is asked of their expert.
struct LeastFloats: TensorRule {
  private let least: [Float]
  private var owner: KeptOwner

  /// - Parameters:
  ///   - least: the smallest value that is allowed, by expert.
  ///   - kept: the number of values of each expert; empty if one rule holds for all values.
  init(least: [Float], kept: [Int]) {
    self.least = least
    owner = KeptOwner(kept: kept)
  }

  mutating func complaint(about value: Float, at position: Int) -> String? {
    let least = least[owner.expert(at: position)]
    return value.isFinite && value >= least
      ? nil : "\(value) at position \(position) is below \(least) or not finite"
  }
}

/// The expert that each kept weight belongs to; asked for in the order of the weights.
private struct KeptOwner {
  private let kept: [Int]
  private var current = 0
  private var end: Int

  init(kept: [Int]) {
    self.kept = kept
    end = kept.first ?? .max
  }

  mutating func expert(at position: Int) -> Int {
    while position >= end, current + 1 < kept.count {
      current += 1
      end += kept[current]
    }
    return current
  }
}
