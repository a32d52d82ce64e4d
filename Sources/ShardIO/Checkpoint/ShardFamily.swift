import SystemPackage

/// Files of a folder that belong together by their names: the numbered files of one set, or one file alone.
struct ShardFamily: Sendable {
  /// The name without numbers and `.safetensors`.
  let stem: String
  /// The number of files that the names claim; nil for a file without a number.
  let total: Int?
  /// The names, in order of their numbers.
  let files: [String]

  /// The parts of the names, in the order of ``files``; empty for a file without a number.
  private let parts: [PartName]

  /// The families of `names`, which end with `.safetensors`, in order of the bytes of their stems, then by total.
  ///
  /// - Complexity: O(n log n).
  static func families(of names: [String]) -> [ShardFamily] {
    struct Key: Hashable {
      let stem: ExactName
      let total: Int?
    }
    var members: [Key: [(name: String, part: PartName?)]] = [:]
    for name in names {
      let part = PartName(name)
      let stem = part?.stem ?? String(Substring(name.utf8.dropLast(".safetensors".utf8.count)))
      members[Key(stem: ExactName(stem), total: part?.total), default: []].append((name, part))
    }
    return members.sorted { ($0.key.stem, $0.key.total ?? 0) < ($1.key.stem, $1.key.total ?? 0) }.map { key, members in
      let members = members.sorted {
        ($0.part?.number ?? 0, ExactName($0.name)) < ($1.part?.number ?? 0, ExactName($1.name))
      }
      return ShardFamily(
        stem: key.stem.string, total: key.total, files: members.map(\.name), parts: members.compactMap(\.part))
    }
  }

  /// The stem of which this one may be a variant, such as `unet` of `unet.fp16`; nil for a stem without a dot.
  ///
  /// - Complexity: O(bytes).
  static func plainStem(ofVariant stem: String) -> String? {
    stem.utf8.lastIndex(of: UInt8(ascii: ".")).map { String(stem[..<$0]) }
  }

  /// The family as messages name it.
  var description: String {
    guard files.count > 1 else { return quoted(files[0]) }
    return "\(quoted(files[0])) … (\(files.count) files)"
  }

  /// Whether every number of the set is there once.
  var isComplete: Bool {
    parts.isEmpty || parts.map(\.number).elementsEqual(numbers)
  }

  /// The numbers that the set must have. They count from 0 if there is a file of that number.
  private var numbers: Range<Int> {
    parts.first?.number == 0 ? 0..<(total ?? 1) : 1..<(total ?? 1) + 1
  }

  /// Checks that every number of the set is there once.
  ///
  /// - Throws: ``CheckpointError``: of kind `.noInput` naming the first missing files; of kind `.data` for a number that
  ///   comes twice or is too large.
  /// - Complexity: O(files), however many the names claim.
  func checkIsComplete(in folder: FilePath) throws(CheckpointError) {
    guard let total, let first = parts.first, !isComplete else { return }
    for (position, next) in parts.indices.dropFirst().enumerated() where parts[position].number == parts[next].number {
      throw CheckpointError(
        kind: .data, path: folder,
        problem:
          "\(quoted(files[position])) and \(quoted(files[next])) have the same number, of \(total) files; remove one")
    }
    guard let last = parts.last, numbers.contains(last.number) else {
      throw CheckpointError(
        kind: .data, path: folder,
        problem:
          "\(quoted(files[0])) and \(quoted(files[files.count - 1])) cannot both be of \(total) files; remove one")
    }
    // A name may claim any total, so the missing numbers are not all listed.
    var missing: [String] = []
    var next = numbers.lowerBound
    for number in parts.map(\.number) + [numbers.upperBound] {
      while next < number, missing.count < Self.mostNamed {
        missing.append(quoted(first.name(of: next)))
        next += 1
      }
      next = number + 1
    }
    let count = total - parts.count
    let more = count > missing.count ? " and \(count - missing.count) more" : ""
    throw CheckpointError(
      kind: .noInput, path: folder,
      problem: "\(count) of \(total) files are missing: \(missing.joined(separator: ", "))\(more); "
        + "download what is missing, or give the path of one file to take it alone")
  }

  /// The most missing files that a message names.
  private static let mostNamed = 3
}
