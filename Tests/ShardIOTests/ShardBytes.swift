/// Files built byte by byte, good and bad.
enum ShardBytes {
  /// Eight bytes of length, the text as it is, the data.
  static func file(_ json: String, data: [UInt8] = []) -> [UInt8] {
    length(UInt64(json.utf8.count)) + Array(json.utf8) + data
  }

  static func length(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// `"name":{…}`, for a header.
  static func entry(_ name: String, _ dtype: String = "F32", _ shape: [Int] = [1], at begin: Int = 0, to end: Int = 4)
    -> String
  {
    #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
  }

  /// A file of F32 tensors with one element each.
  static func file(scalars names: [String]) -> [UInt8] {
    let entries = names.enumerated().map { entry($1, at: 4 * $0, to: 4 * $0 + 4) }
    return file("{\(entries.joined(separator: ","))}", data: Array(repeating: 0, count: 4 * names.count))
  }
}
