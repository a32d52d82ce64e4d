import MPI
import RunCore
import ShardIO
import SystemPackage

/// A mask whose files are finished in the work folder, and which waits to be published.
///
/// The documents of the only mask of a run are published with `run.json`, the last of them last. Those of several masks are written to the
/// work folder at once, since the records of many masks of a large model take more memory than one of them.
struct FinishedMask {
  let summary: MaskSet.Mask
  /// The files that are finished and synchronized in the work folder.
  let files: [PublishedFile]
  /// The small files that are not written yet, on rank 0; the last of them vouches for the mask.
  let documents: [Publication.TextFile]

  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - documents: the small files beside the masks, on rank 0.
  init(
    _ record: MaskRecord, _ target: PlacedTarget, _ layout: MaskLayout, documents: [Publication.TextFile],
    in output: OutputDirectory, world: Communicator
  ) throws {
    let shared = MaskFiles.sharedDocuments.filter { record.documents[$0] != nil }
    let masks = (layout.files.map(\.name) + shared).map(target.file)
    let documents = try world.agreeing { () -> [Publication.TextFile] in
      guard world.isRoot else { return [] }
      let text = try Document.encode(record)
      return documents + [
        .init(name: MaskFiles.recordName, content: text),
        .init(name: MaskFiles.indexName, content: MaskIndex(layout.contents, record: text).text),
      ]
    }
    guard let folder = target.folder else {
      (summary, files, self.documents) = (MaskSet.Mask(record), masks, documents)
      return
    }
    try world.agreeing {
      for document in documents {
        try DurableFile.writeWhole(document.content, to: output.work.appending(target.file(document.name).work))
      }
    }
    summary = MaskSet.Mask(
      record, in: folder, text: documents.first { $0.name == MaskFiles.recordName }.map { RecordedFile($0.content) })
    files = masks + documents.map { target.file($0.name) }
    self.documents = []
  }
}
