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
    if try checkpoint.path.stat().type == .directory {
      try Self.list(checkpoint.path, below: nil, depth: 0, except: out, into: &others)
      if let index = checkpoint.indexName {
        others.append(try Self.file(checkpoint.path.appending(index), in: nil, index))
      }
    }
    self.others = others
  }

  /// Lists what holds no weights.
  ///
  /// Left out are hidden files, links to folders, results of this program, and the model's card, which is about other weights.
  private static func list(
    _ path: FilePath, below folder: String?, depth: Int, except out: FilePath?, into files: inout [File]
  ) throws {
    for name in try Folder.names(in: path) where !name.hasPrefix(".") {
      let entry = path.appending(name)
      guard let type = try? entry.stat().type else { continue }
      if type == .regular {
        guard !weightEndings.contains(where: name.hasSuffix), folder != nil || name != ExportFiles.cardName else {
          continue
        }
        files.append(try file(entry, in: folder, name))
      } else if type == .directory, depth < deepest, try entry.stat(followTargetSymlink: false).type == .directory {
        // A folder of this name would get the files of the adapter.
        guard folder != nil || name != ExportFiles.adapterFolderName, !ExportFiles.isOutput(entry) else { continue }
        if let out, try Folder.isSame(entry, out) { continue }
        try list(entry, below: (folder.map { $0 + "/" } ?? "") + name, depth: depth + 1, except: out, into: &files)
      }
    }
  }

  private static func file(_ path: FilePath, in folder: String?, _ name: String) throws -> File {
    File(path: path.string, folder: folder, name: name, size: Int(try path.stat().size))
  }
}
