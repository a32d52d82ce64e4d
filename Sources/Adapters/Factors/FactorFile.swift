import CKernels
import DistSVD
import FactorCache
import MPI
import RunCore
import ShardIO
import SystemPackage

/// The factor files in the work folder, which ranks write in place.
///
/// They are made at their full size before the work starts. An unfinished run goes on with them: a record of the journal vouches for the
/// bytes of its matrix by a hash.
struct FactorFile {
  let layout: FactorLayout
  /// The work folder.
  let folder: FilePath

  /// Makes the files that are not there. A file that an earlier process of the run has made stays.
  ///
  /// Collective: every rank calls it.
  func make(on world: Communicator) throws {
    try world.agreeing {
      guard world.isRoot else { return }
      for file in layout.files {
        let path = folder.appending(file.name)
        guard try !isMade(file, at: path) else { continue }
        try Folder.remove(path)
        let new = try DurableFile(creating: path, size: file.layout.fileSize)
        try new.write(elements: file.layout.header, at: 0)
        try new.synchronize()
      }
      try DurableFile.synchronizeDirectory(folder)
    }
  }

  /// The bytes of the files that are still to be made.
  func missingBytes() throws -> Int {
    try layout.files.reduce(0) {
      try isMade($1, at: folder.appending($1.name)) ? $0 : $0.addingSaturated($1.layout.fileSize)
    }
  }

  /// Whether a file has its size and its header.
  private func isMade(_ file: FactorLayout.File, at path: FilePath) throws -> Bool {
    guard try Folder.exists(path) else { return false }
    let source = try SourceKind.pread.open(path)
    guard source.size == file.layout.fileSize else { return false }
    var scratch = ScratchBytes()
    return try source.withBytes(in: 0..<file.layout.header.count, scratch: &scratch) {
      $0.elementsEqual(file.layout.header)
    }
  }

  /// Writes the factors of a matrix, and waits until they are on the disk.
  ///
  /// - Parameters:
  ///   - svd: triplets whose elements are numbers of the stored type.
  ///   - values: the singular values in the units of the weights.
  /// - Returns: the hash of the bytes.
  func write(_ svd: ThinSVD, values: [Float], of ordinal: Int) throws -> String {
    let place = layout.places[ordinal]
    let file = try DurableFile(openingForUpdate: folder.appending(layout.files[place.file].name))
    let hasher = BlockHasher()
    hasher.begin()
    func write<Element: BitwiseCopyable>(_ elements: [Element], at offset: Int) throws {
      elements.withUnsafeBytes { hasher.add($0) }
      try file.write(elements: elements, at: offset)
    }
    func write(_ elements: [Double], at offset: Int) throws {
      switch layout.dtype {
      case .f32: try write(elements.map { Float($0) }, at: offset)
      case .bf16: try write(elements.map { FactorType.upperBits(Float($0)) }, at: offset)
      }
    }
    let (rows, count, width) = (place.rows, place.count, layout.dtype.width)
    // U is kept by columns and stored by rows, so it is turned a band of rows at a time.
    let band = max(1, Self.bandElements / max(count, 1))
    for first in stride(from: 0, to: rows, by: band) {
      let lines = first..<min(rows, first + band)
      var turned = [Double](repeating: 0, count: lines.count * count)
      for column in 0..<count {
        let start = column * rows
        for line in lines { turned[(line - first) * count + column] = svd.left.elements[start + line] }
      }
      try write(turned, at: place.left + first * count * width)
    }
    try write(values, at: place.values)
    // The columns of V are the rows of Vᵀ.
    let all = place.columns * count
    for first in stride(from: 0, to: all, by: Self.bandElements) {
      let part = first..<min(all, first + Self.bandElements)
      try write(Array(svd.right.elements[part]), at: place.right + first * width)
    }
    try file.synchronize()
    return hasher.end().hexadecimal
  }

  /// The hash of the bytes that the file holds for a matrix.
  func hash(of ordinal: Int) throws -> String {
    let place = layout.places[ordinal]
    let source = try SourceKind.pread.open(folder.appending(layout.files[place.file].name))
    let hasher = BlockHasher()
    hasher.begin()
    var scratch = ScratchBytes()
    for range in place.ranges(layout.dtype) {
      for start in stride(from: range.lowerBound, to: range.upperBound, by: 1 << 20) {
        try source.withBytes(in: start..<min(range.upperBound, start + 1 << 20), scratch: &scratch) { hasher.add($0) }
      }
    }
    return hasher.end().hexadecimal
  }

  /// Hashes the finished files, of which each rank takes every size-th.
  ///
  /// Collective: every rank calls it.
  func recorded(on world: Communicator, _ watch: StopWatch) throws -> [String: RecordedFile] {
    let digests: [UInt8] = try world.agreeing {
      try stride(from: world.rank, to: layout.files.count, by: world.size).flatMap {
        try watch.check()
        return try FileDigest.sha256(of: folder.appending(layout.files[$0].name)).bytes
      }
    }
    let byRank = try world.allGather(digests)
    var files: [String: RecordedFile] = [:]
    for (number, file) in layout.files.enumerated() {
      let start = number / world.size * FileDigest.count
      let digest = Array(byRank[number % world.size][start..<start + FileDigest.count])
      files[file.name] = RecordedFile(bytes: file.layout.fileSize, sha256: FileDigest(bytes: digest).hexadecimal)
    }
    return files
  }

  /// The elements that are written at once.
  private static let bandElements = 1 << 20
}
