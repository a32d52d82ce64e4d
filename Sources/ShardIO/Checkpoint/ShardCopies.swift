import SystemPackage

/// The search for families of shards that hold the same weights under other names.
///
/// Scored together, copies would count every weight twice. Names and shapes do not tell them from files of one layer
/// each, so contents decide: the signs of some elements of some tensors. Rounding to another floating-point type keeps
/// signs, and so does a scale, while weights of two layers have other signs.
struct ShardCopies {
  /// A tensor by its shape and by signs from its middle.
  private struct Sample: Hashable {
    let shape: [Int]
    let signs: UInt64
    /// The type, unless it is a floating-point type, all of which may hold the same weights.
    let dtype: DType?
  }

  /// The most tensors of a family that are looked at.
  private static let mostTensors = 16
  /// The most elements of a tensor that are looked at, one for each bit of ``Sample/signs``.
  private static let mostElements = 64
  /// The elements of the smallest tensor that is looked at: few signs may be equal by chance.
  private static let fewestElements = 32

  private let families: [ShardFamily]
  private var shards: [ExactName: Shard] = [:]

  /// Prepares a search among families, all files of which are in `shards`.
  init(of families: [ShardFamily], shards: [Shard]) {
    self.families = families
    for shard in shards { self.shards[ExactName(shard.fileName)] = shard }
  }

  /// Refuses the first two families that are copies: half of what was looked at in either is in both.
  ///
  /// - Throws: ``CheckpointError``, of kind `.data` for copies and `.io` if reading fails.
  /// - Complexity: O(n log n) for n tensors, and 16 reads of at most 512 bytes for each family.
  func refuse(in folder: FilePath) throws(CheckpointError) {
    var owners: [Sample: Int] = [:]
    var counts: [Int] = []
    for (number, family) in families.enumerated() {
      let samples = try samples(of: family, in: folder)
      counts.append(samples.count)
      var common: [Int: Int] = [:]
      for sample in samples {
        if let owner = owners[sample] { common[owner, default: 0] += 1 } else { owners[sample] = number }
      }
      let copied = common.filter { 2 * $0.value >= max(samples.count, counts[$0.key]) }.keys.min()
      if let copied {
        throw CheckpointError(
          kind: .data, path: folder,
          problem: "\(families[copied].description) and \(family.description) hold the same weights under other names; "
            + "give the path of one file, or leave only the files of one model here")
      }
    }
  }

  /// Samples of the tensors that tell most: those whose shape is rare in the family, the largest first.
  ///
  /// In a copy they are mostly the same ones, even if the order of names is another.
  private func samples(of family: ShardFamily, in folder: FilePath) throws(CheckpointError) -> Set<Sample> {
    struct Candidate {
      let shard: Shard
      let info: TensorInfo
      var rank: (shapes: Int, size: Int, name: ExactName)
    }
    var occurrences: [[Int]: Int] = [:]
    var candidates: [Candidate] = []
    for shard in family.files.compactMap({ shards[ExactName($0)] }) {
      for info in shard.header.tensors where info.dtype.bits >= 8 && info.elementCount >= Self.fewestElements {
        candidates.append(Candidate(shard: shard, info: info, rank: (0, -info.elementCount, ExactName(info.name))))
        occurrences[info.shape, default: 0] += 1
      }
    }
    for index in candidates.indices { candidates[index].rank.shapes = occurrences[candidates[index].info.shape] ?? 0 }
    candidates.sort { $0.rank < $1.rank }
    var sources: [FilePath: any ByteSource] = [:]
    var samples: Set<Sample> = []
    do {
      for candidate in candidates.prefix(Self.mostTensors) {
        let path = candidate.shard.path
        // A few bytes of a file are not worth mapping it.
        let source = try sources[path] ?? SourceKind.pread.open(path)
        sources[path] = source
        if let sample = try Self.sample(of: candidate.info, in: source) { samples.insert(sample) }
      }
    } catch let error as SourceError {
      throw CheckpointError(error)
    } catch {
      throw CheckpointError(kind: .io, path: folder, problem: "\(error)")
    }
    return samples
  }

  /// A sample from the middle of a tensor; nil if nearly all signs are the same, as those of norms and zeros are.
  private static func sample(of info: TensorInfo, in source: any ByteSource) throws -> Sample? {
    let count = min(mostElements, info.elementCount)
    let width = info.dtype.bits / 8
    let start = info.byteRange.lowerBound + (info.elementCount - count) / 2 * width
    let range = start..<start + count * width
    guard range.upperBound <= source.size else { return nil }
    var scratch = ScratchBytes()
    let signs = try source.withBytes(in: range, scratch: &scratch) { bytes in
      // The sign is the highest bit of the last byte, in every type of a little-endian file.
      (0..<count).reduce(UInt64(0)) { $0 << 1 | UInt64(bytes[$1 * width + width - 1] >> 7) }
    }
    let negative = signs.nonzeroBitCount
    guard min(negative, count - negative) >= count / 8 else { return nil }
    return Sample(shape: info.shape, signs: signs, dtype: info.dtype.hasSignBit ? nil : info.dtype)
  }
}
