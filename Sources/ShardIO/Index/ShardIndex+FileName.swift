extension ShardIndex {
  /// The name of the index that transformers reads, which counts before everything else in a folder.
  package static let fileName = "model.safetensors.index.json"

  /// The part of an index's name that the names of its shards begin with; nil if no index has such a name.
  ///
  ///     ShardIndex.stem(of: "model.safetensors.index.json")         // "model"
  ///     ShardIndex.stem(of: "model.safetensors.index.fp16.json")    // "model.fp16", as its shards are called
  static func stem(of fileName: String) -> String? {
    let (middle, end) = (".safetensors.index", ".json")
    guard fileName.hasSuffix(end) else { return nil }
    let name = fileName.utf8.dropLast(end.utf8.count)
    if let stem = Substring(name).without(suffix: middle) { return String(stem) }
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), let stem = Substring(name[..<dot]).without(suffix: middle)
    else { return nil }
    return String(stem) + Substring(name[dot...])
  }
}

extension Substring {
  fileprivate func without(suffix: String) -> Substring? {
    hasSuffix(suffix) ? Substring(utf8.dropLast(suffix.utf8.count)) : nil
  }
}
