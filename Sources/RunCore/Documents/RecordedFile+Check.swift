import ShardIO
import SystemPackage

extension RecordedFile {
  /// What is wrong with a file; nil if it is the recorded one.
  ///
  /// - Parameter record: the name of the document that vouches for it.
  package func problem(at file: FilePath, vouchedBy record: String) -> String? {
    do {
      let source = try SourceKind.pread.open(file)
      if let problem = wrongSize(source.size, of: file) { return problem }
      return try FileDigest.sha256(of: file).hexadecimal == sha256 ? nil : Self.wrongDigest(of: file, vouchedBy: record)
    } catch let error as SourceError {
      return "\(error)"
    } catch {
      return RunFailure(error).message
    }
  }

  /// What is wrong with a file of this size; nil if it is the recorded one.
  package func wrongSize(_ size: Int, of file: FilePath) -> String? {
    size == bytes ? nil : "\(shown(file)): \(size) bytes, should be \(bytes)"
  }

  /// What is wrong with a file whose bytes have changed.
  package static func wrongDigest(of file: FilePath, vouchedBy record: String) -> String {
    "\(shown(file)): its SHA-256 is not the one in \(record)"
  }
}
