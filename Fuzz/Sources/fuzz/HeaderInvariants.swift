import ShardIO

/// What holds for every header that was accepted.
enum HeaderInvariants {
  static func check(_ header: ShardHeader, length: Int, fileSize: Int) {
    require(header.fileSize == fileSize && header.dataStart == 8 + length, "sizes are those given")
    var expected = header.dataStart
    var names: Set<ExactName> = []
    for tensor in header.tensors {
      require(tensor.byteRange.lowerBound == expected, "\(quoted(tensor.name)) follows without hole or overlap")
      expected = tensor.byteRange.upperBound
      require(names.insert(ExactName(tensor.name)).inserted, "\(quoted(tensor.name)) comes once")
      require(tensor.name != "__metadata__", "metadata is no tensor")
      checkSize(of: tensor)
    }
    require(expected == fileSize, "the data ends with the file")
    for (first, second) in zip(header.tensors, header.tensors.dropFirst())
    where first.byteRange == second.byteRange {
      require(ExactName(first.name) < ExactName(second.name), "empty tensors at one place come by name")
    }
    checkRoundTrip(of: header)
  }

  private static func checkSize(of tensor: TensorInfo) {
    require(tensor.shape.allSatisfy { $0 >= 0 }, "dimensions count")
    if tensor.shape.contains(0) {
      require(tensor.elementCount == 0 && tensor.byteRange.isEmpty, "a zero dimension leaves nothing")
      return
    }
    var elements = 1
    for dimension in tensor.shape {
      let (product, overflow) = elements.multipliedReportingOverflow(by: dimension)
      require(!overflow, "the elements can be counted")
      elements = product
    }
    require(tensor.elementCount == elements, "the count is the product of the shape")
    let bits = elements.multipliedFullWidth(by: tensor.dtype.bits)
    let bytes = tensor.byteRange.count.multipliedFullWidth(by: 8)
    require(bits == bytes, "\(quoted(tensor.name)) has the bytes of its elements")
  }

  /// Written anew by us, and read again, it says the same.
  private static func checkRoundTrip(of header: ShardHeader) {
    // The writer takes keys as Swift strings, of which canonically equivalent ones are one.
    let plain = Dictionary(
      header.metadata.map { ($0.key.string, $0.value) }, uniquingKeysWith: { first, _ in first })
    let layout: ShardLayout
    do {
      layout = try ShardLayout(
        tensors: header.tensors.map { ShardLayout.Tensor(name: $0.name, dtype: $0.dtype, shape: $0.shape) },
        metadata: plain)
    } catch .tooLarge {
      // The writer counts bits in an Int, the format allows one bit more, and partial products before a zero.
      require(header.tensors.contains(where: exceedsInt), "a file that was read can be written")
      return
    } catch {
      stop("broken invariant: what was read cannot be written: \(error)")
    }
    let again: ShardHeader
    do {
      let length = try ShardHeader.headerLength(prefix: Array(layout.header.prefix(8)), fileSize: layout.fileSize)
      require(length == layout.header.count - 8, "the length written is the length read")
      again = try ShardHeader.parse(header: Array(layout.header.dropFirst(8)), fileSize: layout.fileSize)
    } catch {
      stop("broken invariant: what was written cannot be read: \(error)")
    }
    require(again.dataStart.isMultiple(of: 8), "data is aligned")
    require(plain.count < header.metadata.count || again.metadata == header.metadata, "metadata survives")
    require(again.tensors.count == header.tensors.count, "tensors survive")
    let before = header.tensors.sorted { ExactName($0.name) < ExactName($1.name) }
    let after = again.tensors.sorted { ExactName($0.name) < ExactName($1.name) }
    for (old, new) in zip(before, after) {
      require(ExactName(old.name) == ExactName(new.name), "names survive, byte for byte")
      require(old.dtype == new.dtype && old.shape == new.shape, "types and shapes survive")
      require(layout.byteRange(of: new.name) == new.byteRange, "the writer and the reader place data alike")
    }
  }

  private static func exceedsInt(_ tensor: TensorInfo) -> Bool {
    var bits = 1
    for factor in tensor.shape + [tensor.dtype.bits] {
      let (product, overflow) = bits.multipliedReportingOverflow(by: factor)
      if overflow { return true }
      bits = product
    }
    // Beside the padding of a header, a sum of sizes can pass Int.max only near 2⁶⁰ bytes and more.
    return bits >= 1 << 60
  }
}
