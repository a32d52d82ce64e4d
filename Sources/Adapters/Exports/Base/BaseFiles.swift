import RunCore
import ShardIO
import SystemPackage
import Weights

/// The files of a checkpoint that a base of its own is made of.
struct BaseFiles: Codable, Sendable {
  /// A file of the checkpoint.
  struct File: Codable, Sendable {
    /// The path by which to open the file.
    let path: String
    /// The folder in that of the checkpoint; nil for the checkpoint's own folder.
    let folder: String?
    let name: String
    let size: Int
  }

  /// The shards, of which the bytes of some tensors will change.
  let shards: [File]
  /// Files that are copied as they are: configuration, tokenizer, code. The index of shards is the last of them.
  let others: [File]

  /// What names of files end with that would hold the old weights.
  private static let weightEndings = [
    ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5", ".msgpack",
    ".onnx", ".onnx_data", ".gguf", ".ot", ".tflite",
  ]
  /// The depth to which folders are copied.
  private static let deepest = 4

  /// Lists the files of a checkpoint. If it is one file, that is all.
  ///
  /// - Parameter out: the output folder, which may lie in that of the checkpoint and is no part of it; nil if there is none.
  init(_ checkpoint: Checkpoint, out: FilePath?) throws {
    shards = checkpoint.shards.map {
      File(path: $0.path.string, folder: nil, name: $0.fileName, size: $0.header.fileSize)
    }
    var others: [File] = []
    if try Folder.status(of: checkpoint.path)?.type == .directory {
      try Self.list(checkpoint.path, below: nil, depth: 0, except: out, into: &others)
      if let index = checkpoint.indexName {
        let path = checkpoint.path.appending(index)
        guard let size = try Folder.status(of: path)?.size else {
          throw RunFailure(.noInput, "\(shown(path)) was there, and is gone")
        }
        others.append(File(path: path.string, folder: nil, name: index, size: Int(size)))
      }
    }
    self.others = others
  }

  /// Lists what holds no weights.
  ///
  /// Left out are hidden files, links to folders, results of this command, and the model's card, which is about other weights.
  private static func list(
    _ path: FilePath, below folder: String?, depth: Int, except out: FilePath?, into files: inout [File]
  ) throws {
    let names = try Folder.names(in: path)
    guard folder == nil || !names.contains(ExportFiles.recordName) else { return }
    for name in names where !name.hasPrefix(".") {
      let entry = path.appending(name)
      // A link may lead nowhere.
      guard let status = try Folder.status(of: entry) else { continue }
      if status.type == .regular {
        guard !weightEndings.contains(where: name.hasSuffix), folder != nil || name != ExportFiles.cardName else {
          continue
        }
        files.append(File(path: entry.string, folder: folder, name: name, size: Int(status.size)))
      } else if status.type == .directory, depth < deepest,
        try Folder.status(of: entry, followsLinks: false)?.type == .directory
      {
        // A folder of this name would get the files of the adapter.
        guard folder != nil || name != ExportFiles.adapterFolderName else { continue }
        if let out, try Folder.isSame(entry, out) { continue }
        try list(entry, below: (folder.map { $0 + "/" } ?? "") + name, depth: depth + 1, except: out, into: &files)
      }
    }
  }
}
