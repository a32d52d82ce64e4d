import ShardIO

/// The input as the text of `model.safetensors.index.json`.
enum IndexTarget {
  static func check(_ input: [UInt8]) -> CInt {
    do {
      checkInvariants(of: try ShardIndex.parse(input))
    } catch {
      checkMessage("\(error)")
    }
    return 0
  }

  private static func checkInvariants(of index: ShardIndex) {
    var names: Set<ExactName> = []
    for entry in index.entries {
      require(names.insert(ExactName(entry.tensor)).inserted, "\(quoted(entry.tensor)) comes once")
      checkFileName(entry.file)
    }
    if let size = index.totalSize {
      require(!size.isEmpty && size.utf8.allSatisfy("0123456789+-.eE".utf8.contains), "total_size is a number")
    }
    checkRoundTrip(of: index)
  }

  /// A file beside the index, wherever the name is pasted.
  private static func checkFileName(_ name: String) {
    let bytes = Array(name.utf8)
    require(!bytes.isEmpty && bytes != Array(".".utf8), "a file has a name")
    require(!bytes.contains(where: [UInt8(ascii: "/"), UInt8(ascii: "\\"), 0].contains), "no separator, no NUL")
    require(!zip(bytes, bytes.dropFirst()).contains { $0 == 0x2E && $1 == 0x2E }, "no way up")
  }

  private static func checkRoundTrip(of index: ShardIndex) {
    let again: ShardIndex
    do {
      again = try ShardIndex.parse(ShardIndex.encode(index.entries, totalSize: 7, metadata: ["format": "pt"]))
    } catch {
      stop("broken invariant: what was written cannot be read: \(error)")
    }
    require(again.totalSize == "7" && again.entries.count == index.entries.count, "counts survive")
    let before = index.entries.sorted { ExactName($0.tensor) < ExactName($1.tensor) }
    for (old, new) in zip(before, again.entries) {
      require(
        ExactName(old.tensor) == ExactName(new.tensor) && ExactName(old.file) == ExactName(new.file),
        "entries survive, byte for byte, in order of their names")
    }
  }
}
