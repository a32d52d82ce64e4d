import SystemPackage

/// The weights that can be seen from a folder without a safetensors file: in other formats, or in folders below.
struct OtherWeights {
  /// The largest file at the top whose name ends as weights in other formats do; nil if there is none.
  let foreignFile: String?
  /// The paths from the folder to the first folders below that hold safetensors files, by depth and then by name.
  let subfolders: [String]

  /// What the names of weights in other formats end with.
  private static let foreignSuffixes = [
    ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".npz", ".npy", ".msgpack", ".h5", ".keras", ".onnx", ".pkl",
  ]
  /// The depth of the search: from the root of the hub's cache to `models--…/snapshots/HASH`.
  private static let deepest = 3
  /// The most names that the search looks at. The message is worth no long wait.
  private static let mostNames = 10_000
  /// The most subfolders that the message names.
  private static let mostNamed = 4

  /// Looks around in a folder and below it. What cannot be read is passed over.
  init(in folder: CheckpointFolder) {
    let foreign = folder.names.filter { name in Self.foreignSuffixes.contains { name.hasSuffix($0) } }
    let sizes = foreign.prefix(Self.mostNames).map { (name: $0, size: Self.fileSize(folder.path.appending($0))) }
    foreignFile = sizes.max { $0.size < $1.size }?.name

    var found: [String] = []
    var left = Self.mostNames
    var level = Self.folders(among: folder.names, in: folder.path, below: "", left: &left)
    for _ in 0..<Self.deepest {
      var next: [String] = []
      for below in level where left > 0 && found.count <= Self.mostNamed {
        let path = folder.path.appending(below)
        let names = ((try? SystemCalls.names(in: path, limit: left)) ?? []).sorted { ExactName($0) < ExactName($1) }
        left -= names.count
        if names.contains(where: { $0.hasSuffix(".safetensors") && !$0.hasPrefix(".") }) {
          found.append(below)
        } else {
          next += Self.folders(among: names, in: path, below: below + "/", left: &left)
        }
      }
      level = next
    }
    subfolders = found
  }

  /// What is wrong with the folder and what to do, in words.
  var problem: String {
    var remedies: [String] = []
    if let foreignFile { remedies.append("convert \(quoted(foreignFile)) and its like to safetensors first") }
    if !subfolders.isEmpty {
      let named = subfolders.prefix(Self.mostNamed).map { shown(FilePath($0)) }.joined(separator: ", ")
      let more = subfolders.count > Self.mostNamed ? " and others" : ""
      remedies.append("give one of the folders below it that hold some (\(named)\(more))")
    }
    let nothing = "there is no \(ShardIndex.fileName) and no *.safetensors"
    return remedies.isEmpty ? nothing : "\(nothing); \(remedies.joined(separator: ", or "))"
  }

  /// The folders among some names, with the path that leads to them. Links are followed.
  private static func folders(
    among names: [String], in path: FilePath, below prefix: String, left: inout Int
  ) -> [String] {
    let looked = names.prefix(max(0, left))
    left -= looked.count
    return looked.filter { !$0.hasPrefix(".") && (try? path.appending($0).stat())?.type == .directory }
      .map { prefix + $0 }
  }

  private static func fileSize(_ path: FilePath) -> Int {
    (try? path.stat()).map { $0.type == .regular ? Int($0.size) : -1 } ?? -1
  }
}
