import Crypto
import ShardIO
import Weights

/// Reads one mask file once, for its digest and to check its tensors by their rules.
struct MaskContents: ~Copyable {
  /// The bytes that are read at a time; whole elements of every type.
  private static let piece = 1 << 20

  /// A tensor that is being checked by its rule.
  private struct Check {
    var rule: any TensorRule
    /// The first complaint; nil without one.
    var problem: String?

    mutating func look(at bytes: UnsafeRawBufferPointer, offset: Int, of name: String) {
      guard problem == nil, let complaint = rule.complaint(about: bytes, at: offset) else { return }
      problem = "tensor \(quoted(name)): \(complaint)"
    }
  }

  private let outputs: [RecordedOutput]
  private let header: ShardHeader?
  private var checks: [ExactName: Check] = [:]
  private var problems: [[String]] = []

  /// - Parameters:
  ///   - outputs: what should be in the file.
  ///   - header: the header of the file. It is nil if none can be read; then only the digest is found.
  ///   - ranksScores: whether the scores themselves have to reach the threshold.
  ///   - block: the side of the blocks that are kept whole; nil if weights are kept one by one.
  init(_ outputs: [RecordedOutput], header: ShardHeader?, ranksScores: Bool, block: Int?) {
    self.outputs = outputs
    self.header = header
    guard let header else { return }
    let tensors = Dictionary(header.tensors.map { (ExactName($0.name), $0) }) { first, _ in first }
    for output in outputs {
      let misplaced = Self.misplaced(output.tensors, among: tensors)
      problems.append([misplaced].compactMap { $0 })
      guard misplaced == nil else { continue }
      for (name, rule) in Self.rules(of: output, ranksScores: ranksScores, block: block) {
        checks[ExactName(name)] = Check(rule: rule)
      }
    }
  }

  /// Reads the file once, from front to back.
  ///
  /// - Returns: the SHA-256 of the file, and what is wrong with its tensors, in the order of the record.
  /// - Throws: ``SourceError``.
  consuming func read(_ source: some ByteSource) throws -> (digest: FileDigest, problems: [String]) {
    var hash = SHA256()
    var scratch = ScratchBytes()
    func stream(_ range: Range<Int>, _ look: (UnsafeRawBufferPointer, Int) -> Void) throws {
      for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.piece) {
        try source.withBytes(in: start..<min(range.upperBound, start + Self.piece), scratch: &scratch) { bytes in
          hash.update(bufferPointer: bytes)
          look(bytes, start - range.lowerBound)
        }
      }
    }
    // A header that was accepted describes every byte of its file.
    try stream(0..<(header?.dataStart ?? source.size)) { _, _ in }
    for tensor in header?.tensors ?? [] {
      let name = ExactName(tensor.name)
      var check = checks.removeValue(forKey: name)
      try stream(tensor.byteRange) { check?.look(at: $0, offset: $1, of: tensor.name) }
      checks[name] = check
    }
    return (FileDigest(bytes: Array(hash.finalize())), found())
  }

  /// What is wrong with the tensors, once all of the file has been read.
  private func found() -> [String] {
    zip(outputs, problems).flatMap { output, misplaced in
      misplaced
        + output.tensors.names.compactMap { name in
          guard let check = checks[ExactName(name)] else { return nil }
          return check.problem ?? check.rule.complaintAtEnd.map { "tensor \(quoted(name)) \($0)" }
        }
    }
  }

  /// What is wrong with the first tensor of a matrix or stack that is missing, or has another type or shape; nil if none is.
  private static func misplaced(_ wanted: MaskTensors, among tensors: [ExactName: TensorInfo]) -> String? {
    for tensor in wanted.layout {
      guard let found = tensors[ExactName(tensor.name)] else { return "tensor \(quoted(tensor.name)) is missing" }
      guard found.dtype == tensor.dtype, found.shape == tensor.shape else {
        return "tensor \(quoted(tensor.name)) is \(found.dtype.rawValue) \(found.shape), "
          + "should be \(tensor.dtype.rawValue) \(tensor.shape)"
      }
    }
    return nil
  }

  private static func rules(
    of output: RecordedOutput, ranksScores: Bool, block: Int?
  ) -> [(name: String, rule: any TensorRule)] {
    let wanted = output.tensors
    let blocks = block.map { WholeBlockRule(BlockGrid(rows: wanted.rows, columns: wanted.columns, side: $0)) }
    let mask: (String, any TensorRule) =
      switch (wanted.format, wanted.needsWideIndices) {
      case (.bitmap, _): (wanted.bitmapName, BitmapBits(wanted, blocks))
      case (_, false): (wanted.indicesName, AscendingIndices<Int32>(output, blocks))
      case (_, true): (wanted.indicesName, AscendingIndices<Int64>(output, blocks))
      }
    // Rounding to single precision keeps order, so scores that reach the threshold still do in any units.
    let least = output.matrices.map { matrix in
      ranksScores ? matrix.threshold.map { Float($0.times(powerOfTwo: -matrix.scoreExponent)) } ?? 0 : 0
    }
    return [
      mask,
      (wanted.scoresName, LeastFloats(least: least, kept: wanted.kept)),
      (wanted.noiseRowName, LeastFloats(least: [0], kept: [])),
      (wanted.noiseColumnName, LeastFloats(least: [0], kept: [])),
    ]
  }
}

extension MaskTensors {
  /// The names of the tensors, in the order in which they are laid out.
  fileprivate var names: [String] { layout.map(\.name) }
}
