import DistSVD
import FactorCache
import RunCore
import ShardIO
import SystemPackage

/// The factor files in the work folder, which ranks write in place.
struct FactorFile {
  let layout: FactorLayout
  let files: PlacedFiles

  /// - Parameter folder: the work folder.
  init(layout: FactorLayout, folder: FilePath) {
    self.layout = layout
    files = PlacedFiles(
      files: layout.files.map { .init(name: $0.name, size: $0.layout.fileSize, header: $0.layout.header) },
      folder: folder)
  }

  /// Writes the factors of a matrix, and waits until they are on the disk.
  ///
  /// - Parameters:
  ///   - svd: triplets whose elements are numbers of the stored type.
  ///   - values: the singular values in the units of the weights.
  /// - Returns: the hash of the bytes.
  func write(_ svd: ThinSVD, values: [Float], of ordinal: Int) throws -> String {
    let (place, places) = (layout.places[ordinal], places(of: ordinal))
    let writer = PlaceWriter(files)
    func write(_ elements: UnsafeMutableBufferPointer<Float>) throws {
      switch layout.dtype {
      case .f32: try writer.write(UnsafeRawBufferPointer(elements))
      case .bf16: try writer.write(elements.map(FactorType.upperBits))
      }
    }
    // U is kept by columns and stored by rows, so it is turned a band of rows at a time.
    let (rows, count) = (place.rows, place.count)
    try writer.begin(places[0])
    let band = max(1, Self.bandElements / max(count, 1))
    let turned = try AlignedBuffer<Float>(count: min(rows, band) * count)
    for first in stride(from: 0, to: rows, by: band) {
      let lines = first..<min(rows, first + band)
      let elements = turned.prefix(lines.count * count)
      if let target = elements.baseAddress {
        turn(svd.left.elements, lines, of: rows, columns: count, into: target, width: count)
      }
      try write(elements)
    }
    try writer.begin(places[1])
    try writer.write(values)
    // The columns of V are the rows of Vᵀ.
    try writer.begin(places[2])
    let all = place.columns * count
    for first in stride(from: 0, to: all, by: Self.bandElements) {
      let part = first..<min(all, first + Self.bandElements)
      try write(UnsafeMutableBufferPointer(rebasing: svd.right.elements[part]))
    }
    return try writer.finish()
  }

  /// The hash of the bytes that the file holds for a matrix.
  func hash(of ordinal: Int) throws -> String { try files.hash(of: places(of: ordinal)) }

  /// The places of U, σ and Vᵀ.
  private func places(of ordinal: Int) -> [PlacedFiles.Place] {
    let place = layout.places[ordinal]
    return place.ranges(layout.dtype).map { PlacedFiles.Place(file: place.file, range: $0) }
  }

  /// The elements that are written at once.
  private static let bandElements = 1 << 20
}
