import FoundationEssentials
import ShardIO
import SystemPackage

/// The output directory of a finished run, read back; nothing in it is trusted.
public struct MaskReader: Sendable {
  /// The folder.
  public let path: FilePath
  /// `frog.json`.
  public let record: RunRecord
  /// The bytes of `frog.json`, as read.
  let recordText: [UInt8]

  /// Whether `path` is a folder that a run has begun to write or has written.
  public static func isOutput(_ path: FilePath) -> Bool {
    guard let names = try? Folder.names(in: path) else { return false }
    return names.contains(OutputDirectory.recordName) || names.contains(OutputDirectory.indexName)
      || names.contains(OutputDirectory.workName)
  }

  /// Reads and checks `frog.json`.
  ///
  /// - Throws: ``RunFailure``: `.noInput` if there is no such folder, `.data` if it is not a finished output.
  public init(_ path: FilePath) throws {
    let names: [String]
    do {
      names = try Folder.names(in: path)
    } catch {
      throw RunFailure(.noInput, "cannot open \(shown(path)): \(error)")
    }
    for name in [OutputDirectory.recordName, OutputDirectory.indexName] where !names.contains(name) {
      let hint =
        names.contains(OutputDirectory.workName) || names.contains(OutputDirectory.recordName)
          || names.contains(OutputDirectory.indexName)
        ? "the run that wrote it did not finish, or the file was removed"
        : "it is not an output directory of frog-mpi mask"
      throw RunFailure(.data, "\(shown(path)) has no \(name): \(hint)")
    }
    let file = path.appending(OutputDirectory.recordName)
    try self.init(path, recordText: try Self.contents(of: file))
  }

  /// Checks the bytes of `frog.json`, read by another rank.
  init(_ path: FilePath, recordText: [UInt8]) throws {
    self.path = path
    self.recordText = recordText
    do {
      record = try JSONDecoder().decode(RunRecord.self, from: Data(recordText))
    } catch {
      throw RunFailure(
        .data,
        "\(shown(path.appending(OutputDirectory.recordName))) is not a record of frog-mpi mask: \(Self.reason(error))")
    }
    try checkRecord()
  }

  static func contents(of file: FilePath) throws -> [UInt8] {
    let source = try SourceKind.pread.open(file)
    var scratch = ScratchBytes()
    return try source.withBytes(in: 0..<source.size, scratch: &scratch) { [UInt8]($0) }
  }

  /// More weights than any matrix has; below it, sizes in bytes cannot overflow.
  private static let largestMatrix = 1 << 56

  /// What the rest of the program takes for granted of a record.
  private func checkRecord() throws {
    func refuse(_ problem: String) -> RunFailure {
      RunFailure(.data, "\(shown(path.appending(OutputDirectory.recordName))): \(problem)")
    }
    guard record.format == RunRecord.formatName, record.formatVersion == RunRecord.currentFormatVersion else {
      throw refuse(
        "format \(quoted(record.format)) version \(record.formatVersion); this program reads "
          + "\(RunRecord.formatName) version \(RunRecord.currentFormatVersion)")
    }
    for name in record.files.keys where !OutputDirectory.isMaskFile(name) || name.contains("/") {
      throw refuse("\(quoted(name)) is no name of a mask file")
    }
    for matrix in record.matrices {
      guard matrix.shape.count == 2, matrix.shape.allSatisfy({ $0 > 0 }),
        case let (size, overflow) = matrix.shape[0].multipliedReportingOverflow(by: matrix.shape[1]), !overflow,
        size <= Self.largestMatrix, (0...size).contains(matrix.kept), record.files[matrix.file] != nil,
        let format = MaskFormat(rawValue: matrix.format), format != .auto,
        RunRecord.Matrix.scoreExponents.contains(matrix.scoreExponent)
      else { throw refuse("the entry of \(quoted(matrix.name)) contradicts itself") }
    }
  }

  /// The tensors that hold a matrix of the record.
  static func tensors(of matrix: RunRecord.Matrix) -> MaskTensors {
    MaskTensors(
      name: matrix.name, rows: matrix.shape[0], columns: matrix.shape[1], kept: matrix.kept,
      format: MaskFormat(rawValue: matrix.format) ?? .indices)
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    let context: DecodingError.Context
    switch error {
    case .keyNotFound(let key, _): return "the key \(quoted(key.stringValue)) is missing"
    case .typeMismatch(_, let found), .valueNotFound(_, let found), .dataCorrupted(let found): context = found
    @unknown default: return "unreadable"
    }
    let place = context.codingPath.map { quoted($0.stringValue) }.joined(separator: " ")
    return "not valid JSON of the documented form" + (place.isEmpty ? "" : " at \(place)")
  }
}
