import CKernels
import Glibc
import ShardIO
import SystemPackage
import Testing

@testable import RunCore
@testable import Weights

/// A checkpoint in a folder of its own, with what a norms pass would have found.
private final class Contents {
  let folder: FilePath
  let catalog: Catalog
  let norms: Norms

  /// - Parameter files: name and tensors of each; bytes count up.
  init(_ files: [(name: String, tensors: [ShardLayout.Tensor])]) throws {
    folder = FilePath("/tmp").appending("frog-mpi-\(UInt64.random(in: .min ... .max))")
    try Folder.create(folder)
    for (name, tensors) in files {
      let layout = try ShardLayout(tensors: tensors, metadata: [:])
      var bytes = layout.header
      // Ones in single precision, of every type: finite, whatever they are.
      while bytes.count < layout.fileSize { bytes += [0, 0, 0x80, 0x3f] }
      try DurableFile.writeWhole(Array(bytes.prefix(layout.fileSize)), to: folder.appending(name))
    }
    catalog = try Catalog(ClassifiedCheckpoint(Checkpoint.open(folder, io: .pread), options: CatalogOptions()))
    norms = try Self.norms(catalog)
  }

  deinit { try? Folder.removeTree(folder) }

  static func norms(_ catalog: Catalog) throws -> Norms {
    let shards = OpenShards(catalog, io: .mmap)
    var reader = BlockReader()
    var hashes: [[frog_hash128]] = []
    for (ordinal, matrix) in catalog.matrices.enumerated() {
      let view = try shards.view(of: matrix)
      var own: [frog_hash128] = []
      for block in NormBlock.blocks(of: ordinal, in: catalog) { own.append(try reader.hash(block, of: view)) }
      hashes.append(own)
    }
    return Norms(squared: hashes.map { _ in 1 }, blockHashes: hashes, fingerprint: "")
  }

  /// Changes the last bit of a byte of a tensor; size and time of the last write stay.
  func flip(_ name: String, byte: Int) throws {
    guard let tensor = try Checkpoint.open(folder, io: .pread).tensor(named: name) else { throw Errno.noData }
    let path = try Checkpoint.open(folder, io: .pread).shards[tensor.shard].path
    var status = stat()
    #expect(stat(path.string, &status) == 0)
    let offset = Int64(tensor.info.byteRange.lowerBound + byte)
    let file = try FileDescriptor.open(path, .readWrite)
    try file.closeAfter {
      var value: UInt8 = 0
      _ = try withUnsafeMutableBytes(of: &value) { try file.read(fromAbsoluteOffset: offset, into: $0) }
      value ^= 1
      _ = try withUnsafeBytes(of: value) { try file.write(toAbsoluteOffset: offset, $0) }
      var times = [status.st_atim, status.st_mtim]
      #expect(futimens(file.rawValue, &times) == 0)
    }
  }

  func failure(_ check: ContentCheck, _ ordinal: Int, member: Int = 0, of members: Int = 1) -> RunFailure? {
    do {
      try check.check(ordinal, member: member, of: members)
      return nil
    } catch {
      return RunFailure(error)
    }
  }
}

@Suite("Contents that change")
struct ContentCheckTests {
  private static let side = 2100  // 4,410,000 weights: two blocks

  @Test("every block is looked at, by one member", arguments: [SourceKind.mmap, .pread], [DType.bf16, .f32])
  func blocks(io: SourceKind, dtype: DType) throws {
    let contents = try Contents([
      ("a.safetensors", [ShardLayout.Tensor(name: "w", dtype: dtype, shape: [Self.side, Self.side])])
    ])
    let check = ContentCheck(
      contents.catalog, norms: contents.norms, shards: OpenShards(contents.catalog, io: io))
    #expect(contents.norms.blockHashes[0].count == 2)
    #expect(contents.failure(check, 0) == nil)
    let width = dtype.bits / 8
    for (block, weight) in [(0, 0), (0, (1 << 22) - 1), (1, 1 << 22), (1, Self.side * Self.side - 1)] {
      try contents.flip("w", byte: weight * width)
      let failure = contents.failure(check, 0)
      #expect(failure?.kind == .io)
      let place = "\(contents.folder)/a.safetensors: tensor 'w' has changed since the run began, in rows "
      #expect(failure?.message.hasPrefix(place + (block == 0 ? "0 to 1997: " : "1997 to 2099: ")) == true)
      for member in 0..<2 { #expect((contents.failure(check, 0, member: member, of: 2) == nil) == (member != block)) }
      #expect((0..<5).count { contents.failure(check, 0, member: $0, of: 5) != nil } == 1)
      try contents.flip("w", byte: weight * width)
      #expect(contents.failure(check, 0) == nil)
    }
  }

  @Test("scales count, and are named")
  func scales() throws {
    let contents = try Contents([
      ("a.safetensors", [ShardLayout.Tensor(name: "w", dtype: .f8E4M3, shape: [256, 384])]),
      ("b.safetensors", [ShardLayout.Tensor(name: "w_scale_inv", dtype: .f32, shape: [2, 3])]),
    ])
    let check = ContentCheck(
      contents.catalog, norms: contents.norms, shards: OpenShards(contents.catalog, io: .mmap))
    #expect(contents.failure(check, 0) == nil)
    let before = contents.norms.shardFingerprints(contents.catalog)
    try contents.flip("w_scale_inv", byte: 8)
    #expect(contents.failure(check, 0)?.message.contains("or its scales 'w_scale_inv' in 'b.safetensors'") == true)
    let after = try Contents.norms(contents.catalog).shardFingerprints(contents.catalog)
    #expect(before.count == 2 && before[0] != after[0] && before[1] != after[1])
  }

  @Test("a failure is the checkpoint's if that has changed")
  func causes() throws {
    let contents = try Contents([
      ("a.safetensors", [ShardLayout.Tensor(name: "w", dtype: .f32, shape: [8, 8])])
    ])
    let check = ContentCheck(
      contents.catalog, norms: contents.norms, shards: OpenShards(contents.catalog, io: .mmap))
    let failure = RunFailure(.internal, "the eigensolver failed")
    #expect(RunFailure(check.cause(of: failure, scoring: 0)).message == failure.message)
    try contents.flip("w", byte: 0)
    #expect(RunFailure(check.cause(of: failure, scoring: 0)).kind == .io)
    let full = RunFailure(.io, "no space")
    #expect(RunFailure(check.cause(of: full, scoring: 0)).message == full.message)
  }

  @Test("the fingerprint of a shard is of its matrices, and of nothing else")
  func shards() throws {
    let plain = { (name: String) in ShardLayout.Tensor(name: name, dtype: .f32, shape: [16, 8]) }
    let contents = try Contents([
      ("a.safetensors", [plain("x"), ShardLayout.Tensor(name: "x.bias", dtype: .f32, shape: [16])]),
      ("b.safetensors", [plain("w"), plain("z")]),
    ])
    let catalog = contents.catalog
    let before = contents.norms.shardFingerprints(catalog)
    #expect(before.allSatisfy { $0.hasPrefix("sha256-xxh3:") && $0.utf8.count == 76 })
    try contents.flip("x.bias", byte: 0)
    #expect(try Contents.norms(catalog).shardFingerprints(catalog) == before)
    try contents.flip("z", byte: 40)
    let after = try Contents.norms(catalog).shardFingerprints(catalog)
    #expect(after[0] == before[0] && after[1] != before[1])
    // Of one shard with all matrices it is that of the model.
    #expect(
      before[0] == Norms.fingerprint(of: [1], in: catalog, blockHashes: contents.norms.blockHashes))
    #expect(
      contents.norms.restricted(to: [2, 0]).blockHashes.map { $0[0].low }
        == [2, 0].map { contents.norms.blockHashes[$0][0].low })
  }
}
