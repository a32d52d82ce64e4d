import RunCore
import CKernels
import ShardIO

/// Compares the weights of matrices with what they were when the norms were measured.
///
/// Size and time of the last write say nothing of a byte that a disk, a cable or a program has changed behind their back, nor of a file
/// that has taken another's place before this rank opened it. The bytes are those that this rank has scored, or would score now: read
/// again through the same file, and hashed as the norms pass did.
///
/// One owner; keeps its buffers from one matrix to the next.
package final class ContentCheck {
  private let catalog: Catalog
  private let norms: Norms
  private let shards: OpenShards
  private var reader = BlockReader()

  /// - Parameters:
  ///   - norms: of the matrices of `catalog`.
  ///   - shards: through which the matrices are scored.
  package init(_ catalog: Catalog, norms: Norms, shards: OpenShards) {
    self.catalog = catalog
    self.norms = norms
    self.shards = shards
  }

  /// Reads a member's share of the blocks of a matrix once more.
  ///
  /// Local. Call it when the matrix has been scored: then it is in the page cache, and nothing that happens to it afterwards matters.
  ///
  /// - Throws: ``RunFailure`` of kind `.io` naming shard, tensor and rows if they have changed; what reading them throws.
  /// - Complexity: O(bytes of the matrix / members), 256 KiB of memory beside the scales.
  package func check(_ ordinal: Int, member: Int = 0, of members: Int = 1) throws {
    let matrix = catalog.matrices[ordinal]
    let view = try view(of: matrix)
    let blocks = NormBlock.blocks(of: ordinal, in: catalog)
    let hashes = norms.blockHashes[ordinal]
    for number in blocks.count * member / members..<blocks.count * (member + 1) / members {
      let found = try reader.hash(blocks[number], of: view)
      guard found == hashes[number] else { throw changed(blocks[number], of: matrix) }
    }
  }

  /// What explains a failure that may come of a changed checkpoint: that, if it has changed, else the failure.
  ///
  /// Local. Weights that change while they are decomposed look like a solver that lies.
  package func cause(of failure: any Error, scoring ordinal: Int) -> any Error {
    guard RunFailure(failure).kind != .io else { return failure }
    do {
      try check(ordinal)
      return failure
    } catch {
      return error
    }
  }

  /// Scales that were fit to multiply weights, and no longer are, have changed.
  private func view(of matrix: Catalog.Matrix) throws -> TensorView {
    do {
      return try shards.view(of: matrix)
    } catch let error as CheckpointError where error.kind == .data {
      throw RunFailure(.io, "\(catalog.place(of: matrix)) has changed since the run began: \(error); \(Self.remedy)")
    }
  }

  private func changed(_ block: NormBlock, of matrix: Catalog.Matrix) -> RunFailure {
    let (first, last) = (block.elements.lowerBound / matrix.columns, (block.elements.upperBound - 1) / matrix.columns)
    // Codes and scales have one hash.
    let scale = block.elements.lowerBound == 0 ? catalog.tensors[matrix.tensor].content.scale : nil
    let scales =
      scale.map { ", or its scales \(quoted($0.name)) in \(quoted(catalog.shards[$0.shard].fileName))" } ?? ""
    return RunFailure(
      .io,
      "\(catalog.place(of: matrix)) has changed since the run began, in rows \(first) to \(last)\(scales): \(Self.remedy)"
    )
  }

  private static let remedy =
    "its bytes are no longer those that the norms pass read; check the disk, and leave the checkpoint alone during a run"
}
