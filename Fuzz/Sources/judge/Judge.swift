import ShardIO
import SystemPackage

/// Opens each file that standard input names and says what ShardIO finds, for comparison with another
/// reader: a process for each of 100,000 files would take an hour.
///
/// A line of input is a path; a line of output `refuse`, a tab and the reason, or `accept`, a tab and
/// what the header holds: the tensors by offset, each as name in hexadecimal, type, shape, begin and
/// end, then the metadata by key, both in hexadecimal.
@main
enum Judge {
  static func main() {
    while let path = readLine() {
      do {
        let checkpoint = try Checkpoint.open(FilePath(path), io: .pread)
        print("accept\t\(checkpoint.shards.map { text(of: $0.header) }.joined())")
      } catch {
        print("refuse\t\(error)")
      }
    }
  }

  private static func text(of header: ShardHeader) -> String {
    let tensors = header.tensors.map { tensor in
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let begin = tensor.byteRange.lowerBound - header.dataStart
      let end = begin + tensor.byteRange.count
      return "\(hexadecimal(tensor.name)) \(tensor.dtype.rawValue) [\(shape)] \(begin) \(end);"
    }
    let metadata = header.metadata.map { "\(hexadecimal($0.key.string))=\(hexadecimal($0.value));" }.sorted()
    return (tensors + metadata).joined()
  }

  private static func hexadecimal(_ text: String) -> String {
    text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
