extension ShardIndex {
  /// The text of an index, with the tensors in byte-wise order of their names. Equal input gives equal bytes.
  ///
  /// - Parameters:
  ///   - entries: every tensor once, in any order.
  ///   - totalSize: the bytes of tensor data in all files, without headers.
  ///   - metadata: free text beside `total_size`.
  public static func encode(_ entries: [Entry], totalSize: Int, metadata: [String: String] = [:]) -> [UInt8] {
    var json = JSONWriter()
    json.openObject()
    json.key("metadata")
    json.openObject()
    for (key, value) in metadata.sorted(by: { ExactName($0.key) < ExactName($1.key) }) {
      json.key(key)
      json.string(value)
    }
    json.key("total_size")
    json.number(totalSize)
    json.closeObject()
    json.key("weight_map")
    json.openObject()
    for entry in entries.sorted(by: { ExactName($0.tensor) < ExactName($1.tensor) }) {
      json.key(entry.tensor)
      json.string(entry.file)
    }
    json.closeObject()
    json.closeObject()
    return json.text + [UInt8(ascii: "\n")]
  }
}
