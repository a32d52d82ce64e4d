import MPI
import RunCore
import ShardIO
import SystemPackage

/// Large files in the work folder that ranks write in place, each the parts of its own matrices.
///
/// They are made at their full size before the work starts. An unfinished run goes on with them: a record of the journal vouches for the
/// bytes of its matrix by a hash.
struct PlacedFiles: Sendable {
  /// A file by its name in the work folder.
  struct File: Sendable {
    let name: String
    let size: Int
    /// The first bytes, which are written when the file is made.
    let header: [UInt8]
  }

  /// Bytes of a file.
  struct Place: Sendable {
    /// The position of the file in ``PlacedFiles/files``.
    let file: Int
    let range: Range<Int>
  }

  let files: [File]
  /// The work folder.
  let folder: FilePath

  /// The bytes of all files.
  var bytes: Int { files.reduce(0) { $0.addingSaturated($1.size) } }

  /// Makes the files that are not there. A file that an earlier process of the run has made stays.
  ///
  /// Collective: every rank calls it.
  func make(on world: Communicator) throws {
    try world.agreeing {
      guard world.isRoot else { return }
      for file in files where try !isMade(file) {
        let path = folder.appending(file.name)
        try Folder.remove(path)
        let new = try DurableFile(creating: path, size: file.size)
        try new.write(elements: file.header, at: 0)
        try new.synchronize()
      }
      try DurableFile.synchronizeDirectory(folder)
    }
  }

  /// The bytes of the files that are still to be made.
  func missingBytes() throws -> Int {
    try files.reduce(0) { try isMade($1) ? $0 : $0.addingSaturated($1.size) }
  }

  /// Refuses files that would not fit where they go. Rank 0 calls it.
  ///
  /// Where the system does not tell how much is free, reserving the space will.
  ///
  /// - Parameters:
  ///   - needed: the bytes that are still to be made.
  ///   - out: the output folder, which need not be there.
  ///   - what: a noun and a verb for the message, such as `the factors take`.
  ///   - remedy: what to do if neither room nor another folder helps.
  /// - Throws: ``RunFailure`` of kind `.io`.
  static func checkRoom(for needed: Int, in out: FilePath, _ what: String, orElse remedy: String) throws {
    guard let space = try? FileSystemSpace(of: Folder.nearest(to: out)), space.free < needed else { return }
    throw RunFailure(
      .io,
      "\(what) \(Amount.of(needed)), and the file system of \(shown(out)) has \(Amount.of(space.free)) free: make room, choose "
        + "another --out, or \(remedy)")
  }

  /// Whether a file has its size and its header.
  private func isMade(_ file: File) throws -> Bool {
    let path = folder.appending(file.name)
    guard try Folder.exists(path) else { return false }
    let source = try SourceKind.pread.open(path)
    guard source.size == file.size else { return false }
    var scratch = ScratchBytes()
    return try source.withBytes(in: 0..<file.header.count, scratch: &scratch) { $0.elementsEqual(file.header) }
  }

  /// The hash of the bytes at some places, one after the other.
  func hash(of places: [Place]) throws -> String {
    let hasher = BlockHasher()
    hasher.begin()
    var scratch = ScratchBytes()
    for place in places {
      let source = try SourceKind.pread.open(folder.appending(files[place.file].name))
      for start in stride(from: place.range.lowerBound, to: place.range.upperBound, by: 1 << 20) {
        let piece = start..<min(place.range.upperBound, start + 1 << 20)
        try source.withBytes(in: piece, scratch: &scratch) { hasher.add($0) }
      }
    }
    return hasher.end().hexadecimal
  }

  /// Hashes the finished files, of which each rank takes every size-th.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Returns: what documents say of the files, in their order.
  func recorded(on world: Communicator, _ watch: StopWatch) throws -> [RecordedFile] {
    let digests: [UInt8] = try world.agreeing {
      try stride(from: world.rank, to: files.count, by: world.size).flatMap {
        try watch.check()
        return try FileDigest.sha256(of: folder.appending(files[$0].name)).bytes
      }
    }
    let byRank = try world.allGather(digests)
    return files.enumerated().map { number, file in
      let start = number / world.size * FileDigest.count
      let digest = Array(byRank[number % world.size][start..<start + FileDigest.count])
      return RecordedFile(bytes: file.size, sha256: FileDigest(bytes: digest).hexadecimal)
    }
  }
}

/// Writes the bytes of one matrix at its places, one place after the other, and hashes them.
final class PlaceWriter {
  private let files: PlacedFiles
  private let hasher = BlockHasher()
  private var open: [Int: SharedFile] = [:]
  private var place: PlacedFiles.Place?
  private var position = 0

  init(_ files: PlacedFiles) {
    self.files = files
    hasher.begin()
  }

  /// Goes to a place. What is written from now on fills it from its start.
  func begin(_ place: PlacedFiles.Place) throws {
    try checkFilled()
    self.place = place
    position = place.range.lowerBound
  }

  /// Writes what comes next at the place.
  func write<Element: BitwiseCopyable>(_ elements: [Element]) throws { try elements.withUnsafeBytes { try write($0) } }

  /// Writes what comes next at the place.
  func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard let place else { throw RunFailure(.internal, "bytes without a place") }
    guard bytes.count <= place.range.upperBound - position else {
      throw RunFailure(.internal, "more bytes than laid out")
    }
    hasher.add(bytes)
    let file =
      try open[place.file]
      ?? SharedFile(DurableFile(openingForUpdate: files.folder.appending(files.files[place.file].name)))
    open[place.file] = file
    try file.file.write(bytes, at: position)
    position += bytes.count
  }

  /// Waits until all bytes are on the disk.
  ///
  /// - Returns: the hash of the bytes.
  func finish() throws -> String {
    try checkFilled()
    for file in open.values { try file.file.synchronize() }
    return hasher.end().hexadecimal
  }

  private func checkFilled() throws {
    guard place == nil || place?.range.upperBound == position else {
      throw RunFailure(.internal, "fewer bytes than laid out")
    }
  }
}
