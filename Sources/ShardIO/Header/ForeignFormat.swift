/// Something other than a checkpoint's file that lies under the name of one, told by its first bytes.
///
/// Most such files come from a download that did not fetch what it should: a pointer of git-lfs, a page that says why.
/// Others are files of other programs that were renamed instead of converted.
package enum ForeignFormat: Equatable, Sendable {
  /// The text that git-lfs keeps in place of a large file.
  case lfsPointer
  /// HTML or XML.
  case markup
  /// An object or a list in JSON, with its first characters.
  case json(String)
  /// Any other text, with its first characters.
  case text(String)
  /// The format of some program.
  case binary(Binary)

  /// The formats of weights and archives that begin with fixed bytes. The raw value is the name in messages.
  package enum Binary: String, CaseIterable, Sendable {
    case gguf = "a GGUF file"
    case zip = "a zip archive, as torch.save and numpy.savez write"
    case pickle = "a Python pickle, as torch.save writes"
    case gzip = "a gzip file"
    case zstandard = "a Zstandard file"
    case hdf5 = "an HDF5 file"
    case numpy = "a NumPy file"

    /// Whether a file that begins with `bytes` is of this format.
    fileprivate func begins(_ bytes: [UInt8]) -> Bool {
      switch self {
      case .gguf: bytes.starts(with: "GGUF".utf8)
      case .zip: bytes.starts(with: [0x50, 0x4b, 0x03, 0x04])
      // The second byte of a pickle is its protocol.
      case .pickle: bytes.count > 1 && bytes[0] == 0x80 && (2...5).contains(bytes[1])
      case .gzip: bytes.starts(with: [0x1f, 0x8b])
      case .zstandard: bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd])
      case .hdf5: bytes.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a])
      case .numpy: bytes.starts(with: [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59])
      }
    }

    /// Whether such a file holds something to unpack, not weights to convert.
    fileprivate var isCompressed: Bool { self == .gzip || self == .zstandard }
  }

  /// The number of bytes at the start of a file that decide what it is.
  static let prefixBytes = 256

  /// Recognizes a format by the first ``prefixBytes`` of a file, or by all there are.
  ///
  /// - Returns: nil for bytes that look like none of these formats.
  init?(prefix: some Collection<UInt8>) {
    let bytes = Array(prefix.prefix(Self.prefixBytes))
    if bytes.starts(with: "version https://git-lfs.github.com/spec/".utf8) {
      self = .lfsPointer
    } else if let binary = Binary.allCases.first(where: { $0.begins(bytes) }) {
      self = .binary(binary)
    } else if let text = Self.text(in: bytes) {
      switch text.first {
      case "<": self = .markup
      case "{", "[": self = .json(text)
      default: self = .text(text)
      }
    } else {
      return nil
    }
  }

  /// Recognizes the format of a file that should hold JSON and does not.
  ///
  /// - Returns: nil also for text that means to be JSON, since the place of its fault says more.
  package init?(inPlaceOfJSON bytes: some Collection<UInt8>) {
    self.init(prefix: bytes)
    if case .json = self { return nil }
  }

  /// The first characters of a text, without white space and a byte order mark before them; nil if the bytes are none.
  private static func text(in bytes: [UInt8]) -> String? {
    // The last character may be cut, and then decodes to one replacement character or more.
    let scalars = String(decoding: bytes, as: UTF8.self).unicodeScalars
    let whole = bytes.count < prefixBytes ? scalars[...] : scalars.dropLast(3)
    let isSpace = { (scalar: Unicode.Scalar) in scalar == " " || ("\t"..."\r").contains(scalar) }
    guard whole.allSatisfy({ $0 >= " " && $0 != "\u{7f}" && $0 != "\u{fffd}" || isSpace($0) }) else { return nil }
    let text = whole.drop { isSpace($0) || $0 == "\u{feff}" }
    return text.isEmpty ? nil : String(String.UnicodeScalarView(text.prefix(60)))
  }

  /// What the file is and what to do, after the name of the file; without a full stop.
  package var description: String {
    switch self {
    case .lfsPointer:
      "this is a git-lfs pointer in place of the file; fetch the file with `git lfs pull`"
    case .markup:
      "this is an HTML or XML page, as a failed download leaves; download the file again"
    case .json(let start):
      "this is JSON text, which begins \(quoted(start)); if a failed download has left it, download the file again"
    case .text(let start):
      "this is text, which begins \(quoted(start)); if a failed download has left it, download the file again"
    case .binary(let format):
      "this is \(format.rawValue); \(format.isCompressed ? "unpack it" : "convert it to safetensors") first"
    }
  }
}
