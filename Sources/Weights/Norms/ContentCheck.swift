import CKernels
import RunCore
import ShardIO

/// Compares the weights of matrices with what they were when the norms were measured.
///
/// Size and time of the last write do not show a byte that a disk, a cable or a program has changed without a trace, nor a file that has
/// replaced another before this rank opened it. So the bytes are read again through the same open file, and hashed as in the norms pass:
/// they are those that this rank has scored, or would score now.
///
/// It has one owner, and keeps its buffers from one matrix to the next.
package final class ContentCheck {
  private let catalog: Catalog
  private let norms: Norms
  private let shards: OpenShards
  private var reader = BlockReader()

  /// Makes a check of the matrices of `catalog`.
  ///
  /// - Parameters:
  ///   - norms: the norms of these matrices, with the hashes of their blocks.
  ///   - shards: the open files through which the matrices are scored.
  package init(_ catalog: Catalog, norms: Norms, shards: OpenShards) {
    self.catalog = catalog
    self.norms = norms
    self.shards = shards
  }

  /// Reads a team member's share of the blocks of a matrix once more, and compares their hashes.
  ///
  /// Local. Call it when the matrix has been scored: then the bytes are in the page cache, and later changes no longer matter.
  ///
  /// - Throws: ``RunFailure`` of kind `.io` that names shard, tensor and rows if they have changed; and what reading them throws.
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

  /// The error that explains a failure: that the matrix has changed during the run, if it has; otherwise the failure itself.
  ///
  /// Local. Weights that change while they are decomposed look like a solver that returns wrong results.
  package func cause(of failure: any Error, scoring ordinal: Int) -> any Error {
    guard RunFailure(failure).kind != .io else { return failure }
    do {
      try check(ordinal)
      return failure
    } catch {
      return error
    }
  }

  /// Opens a matrix. Scales that were valid in the norms pass and no longer are have changed, so that error becomes one of kind `.io`.
  private func view(of matrix: Catalog.Matrix) throws -> TensorView {
    do {
      return try shards.view(of: matrix)
    } catch let error as CheckpointError where error.kind == .data {
      throw RunFailure(.io, "\(catalog.place(of: matrix)) has changed since the run began: \(error); \(Self.remedy)")
    }
  }

  private func changed(_ block: NormBlock, of matrix: Catalog.Matrix) -> RunFailure {
    let (first, last) = (block.elements.lowerBound / matrix.columns, (block.elements.upperBound - 1) / matrix.columns)
    // The first block has one hash for codes and scales, so either may have changed.
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
