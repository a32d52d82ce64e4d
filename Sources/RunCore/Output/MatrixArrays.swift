import MPI
import ShardIO
import SystemPackage

/// A safetensors file that holds arrays of every matrix, one matrix after the other, whatever their lengths.
///
/// `offsets` (I64 [M + 1]) says where the arrays of a matrix begin and end, and `exponents` (I32 [M]) has a number for each matrix. All ranks
/// know the place of every byte once they know all lengths, so every rank can write the arrays of its own matrices.
package struct MatrixArrays {
  /// The names of the two tensors that every such file has.
  package static let (offsetsName, exponentsName) = ("offsets", "exponents")

  private let layout: ShardLayout
  /// The position of the first element of each matrix by ordinal, and the number of all elements.
  private let offsets: [Int]

  /// Lays out a file.
  ///
  /// - Parameters:
  ///   - lengths: the number of elements that the arrays of each matrix have, by ordinal.
  ///   - arrays: the name and type of each array.
  /// - Throws: ``RunFailure`` if no file can hold the arrays.
  package init(lengths: [Int], arrays: [(name: String, dtype: DType)]) throws {
    var offsets = [0]
    for length in lengths { offsets.append(offsets[offsets.count - 1] + length) }
    let total = offsets[offsets.count - 1]
    do {
      layout = try ShardLayout(
        tensors: [.init(name: Self.offsetsName, dtype: .i64, shape: [offsets.count])]
          + arrays.map { .init(name: $0.name, dtype: $0.dtype, shape: [total]) }
          + [.init(name: Self.exponentsName, dtype: .i32, shape: [lengths.count])],
        metadata: ["format": "pt"])
    } catch {
      throw RunFailure(
        .internal, "the arrays \(arrays.map(\.name).joined(separator: ", ")) do not fit a file: \(error)")
    }
    self.offsets = offsets
  }

  /// Writes equal copies of the file. Rank 0 makes them, and every rank writes the arrays of its matrices.
  ///
  /// Collective: every rank calls it, and each matrix is written by one rank.
  ///
  /// - Parameters:
  ///   - copies: the paths of the copies, at least one; no file has one of them.
  ///   - own: writes everything about this rank's matrices.
  /// - Returns: the size and digest of each copy. All copies are finished and synchronized.
  package func write(
    _ copies: [FilePath], on world: Communicator, _ watch: StopWatch, own: (MatrixArrayWriter) throws -> Void
  ) throws -> RecordedFile {
    precondition(!copies.isEmpty, "a file has a path")
    // 1. Make the files, with what all ranks know.
    try world.agreeing {
      guard world.isRoot else { return }
      for path in copies {
        let file = try DurableFile(creating: path, size: layout.fileSize)
        try file.write(elements: layout.header, at: 0)
        try file.write(elements: offsets.map(Int64.init), at: position(of: Self.offsetsName, 0, width: 8))
        try file.synchronize()
      }
    }
    // 2. Write what belongs to this rank's matrices.
    try world.agreeing {
      try watch.check()
      let files = try copies.map { SharedFile(try DurableFile(openingForUpdate: $0)) }
      try own(MatrixArrayWriter(self, files))
      for file in files { try file.file.synchronize() }
    }
    // 3. Hash one of the copies. All of them are made of the same bytes.
    let digest = try world.broadcasting(
      world.agreeing { world.isRoot ? try FileDigest.sha256(of: copies[0]).bytes : [] }, from: 0)
    return RecordedFile(bytes: layout.fileSize, sha256: FileDigest(bytes: digest).hexadecimal)
  }

  /// The number of elements that the arrays of a matrix have.
  fileprivate func length(of ordinal: Int) -> Int { offsets[ordinal + 1] - offsets[ordinal] }

  /// The place of the first element of a matrix in an array, in bytes from the start of the file.
  fileprivate func start(of ordinal: Int, in array: String, width: Int) throws -> Int {
    try position(of: array, array == Self.exponentsName ? ordinal : offsets[ordinal], width: width)
  }

  private func position(of tensor: String, _ element: Int, width: Int) throws -> Int {
    guard let range = layout.byteRange(of: tensor) else {
      throw RunFailure(.internal, "no place was laid out for the array \(quoted(tensor))")
    }
    return range.lowerBound + element * width
  }
}

/// Writes the arrays of single matrices into all copies of a file of ``MatrixArrays``.
package struct MatrixArrayWriter {
  private let arrays: MatrixArrays
  private let files: [SharedFile]

  fileprivate init(_ arrays: MatrixArrays, _ files: [SharedFile]) {
    self.arrays = arrays
    self.files = files
  }

  /// Writes an array of a matrix.
  ///
  /// - Parameter elements: as many as the layout has for the matrix, of the type of the array.
  package func write<Element: BitwiseCopyable>(_ elements: [Element], of ordinal: Int, to array: String) throws {
    guard elements.count == arrays.length(of: ordinal) else {
      throw RunFailure(
        .internal,
        "\(elements.count) elements of \(quoted(array)) for matrix \(ordinal), laid out are \(arrays.length(of: ordinal))"
      )
    }
    try write(elements, at: arrays.start(of: ordinal, in: array, width: MemoryLayout<Element>.stride))
  }

  /// Writes the exponent of a matrix.
  package func write(exponent: Int, of ordinal: Int) throws {
    try write([Int32(exponent)], at: arrays.start(of: ordinal, in: MatrixArrays.exponentsName, width: 4))
  }

  private func write<Element: BitwiseCopyable>(_ elements: [Element], at offset: Int) throws {
    for file in files { try file.file.write(elements: elements, at: offset) }
  }
}
