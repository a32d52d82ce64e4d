import FoundationEssentials
import ShardIO
import SystemPackage

/// Turns the JSON documents of this program into bytes, in one way only: keys are sorted, so that equal values give equal bytes.
package enum Document {
  /// Encodes `value` as indented JSON that ends with a newline.
  package static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
  }

  /// Reads a whole file, which must be small enough for memory.
  ///
  /// - Throws: `SourceError`.
  package static func contents(of file: FilePath) throws -> [UInt8] {
    let source = try SourceKind.pread.open(file)
    var scratch = ScratchBytes()
    return try source.withBytes(in: 0..<source.size, scratch: &scratch) { [UInt8]($0) }
  }

  /// Decodes a document of one format and version.
  ///
  /// - Parameters:
  ///   - file: the path of the document, as messages show it.
  ///   - owner: the command that writes such documents.
  /// - Throws: ``RunFailure`` if it is of another version, since that is the better reason to give, or no such document.
  package static func decode<Value: Decodable>(
    _ text: [UInt8], named file: String, format: String, version: Int, of owner: String
  ) throws(RunFailure) -> Value {
    if let found = DocumentFormat(text), let other = found.formatVersion, found.format != format || other != version {
      throw RunFailure(
        .data,
        "\(file): format \(quoted(found.format)) version \(other); this program reads \(format) version \(version)")
    }
    do { return try JSONDecoder().decode(Value.self, from: Data(text)) } catch {
      throw RunFailure(.data, "\(file) is not a record of \(owner): \(reason(error))")
    }
  }

  /// The reason why a document could not be decoded, in words for a message.
  package static func reason(_ error: any Error) -> String {
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

/// The two keys by which a document says what format it has, whatever else is in it.
package struct DocumentFormat: Decodable {
  package let format: String
  package let formatVersion: Int?

  enum CodingKeys: String, CodingKey {
    case format
    case formatVersion = "format_version"
  }

  /// Reads the keys from the bytes of a document; nil if `text` is not JSON or has no `format`.
  package init?(_ text: [UInt8]) {
    guard let found = try? JSONDecoder().decode(Self.self, from: Data(text)) else { return nil }
    self = found
  }
}
