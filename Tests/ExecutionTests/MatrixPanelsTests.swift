import DistSVD
import ShardIO
import SystemPackage
import Testing

@testable import Execution

@Suite("Scaled panels of a matrix")
struct MatrixPanelsTests {
  /// A tensor in memory.
  private struct Bytes: ByteSource {
    let path: FilePath = "memory"
    let bytes: [UInt8]
    var copiesBytes = false
    var size: Int { bytes.count }

    func withBytes<R>(
      in range: Range<Int>, scratch: inout ScratchBytes, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
      try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    func prefetch(_ range: Range<Int>, scratch: inout ScratchBytes) {}
    func release(_ range: Range<Int>) {}
  }

  private static func panels<Stored>(_ values: [Stored], rows: Int, dtype: DType) throws -> MatrixPanels {
    let bytes = values.withUnsafeBytes { Array($0) }
    return MatrixPanels(
      try TensorView(
        source: Bytes(bytes: bytes),
        tensor: TensorInfo(
          name: "w", dtype: dtype, shape: [rows, values.count / rows], byteRange: 0..<bytes.count)))
  }

  private static func read<Scalar: RealScalar>(
    _ panels: MatrixPanels, _ rows: Range<Int>, _ columns: Range<Int>, as _: Scalar.Type
  ) throws -> [Scalar] {
    var result = [Scalar](repeating: .nan, count: rows.count * columns.count)
    try result.withUnsafeMutableBufferPointer { try Scalar.read(panels, rows: rows, columns: columns, into: $0) }
    return result
  }

  @Test("are W·2^−e, from every type", arguments: [0, -149, 100, 1])
  func types(exponent: Int) throws {
    // 1.5, the least number, the least normal one, -0, the largest.
    let f16: [UInt16] = [0x3e00, 0x0001, 0x0400, 0x8000, 0x7bff, 0xbe00]
    let bf16: [UInt16] = [0x3fc0, 0x0001, 0x0080, 0x8000, 0x7f7f, 0xbfc0]
    let f32 = bf16.map { Float(bitPattern: UInt32($0) << 16) }
    let f64: [Double] = [1.5, 0x1p-1074, .leastNormalMagnitude, -0.0, 0x1p500, -1.5]
    let f16Values: [Double] = [1.5, 0x1p-24, 0x1p-14, -0.0, 65504, -1.5]
    for (panels, values) in [
      (try Self.panels(f16, rows: 2, dtype: .f16), f16Values),
      (try Self.panels(bf16, rows: 2, dtype: .bf16), f32.map(Double.init)),
      (try Self.panels(f32, rows: 2, dtype: .f32), f32.map(Double.init)),
      (try Self.panels(f64, rows: 2, dtype: .f64), f64),
    ] {
      let wanted = values.map { $0 * Double(sign: .plus, exponent: -exponent, significand: 1) }
      let scaled = panels.scaled(by: exponent)
      #expect(try Self.read(scaled, 0..<2, 0..<3, as: Double.self) == wanted)
      #expect(try Self.read(scaled, 0..<2, 0..<3, as: Float.self) == wanted.map { Float($0) })
      #expect(try Self.read(scaled, 0..<2, 1..<2, as: Double.self) == [wanted[1], wanted[4]])
      #expect(try Self.read(scaled, 1..<2, 1..<3, as: Float.self) == [Float(wanted[4]), Float(wanted[5])])
      #expect(try Self.read(scaled, 1..<1, 0..<3, as: Float.self).isEmpty)
      #expect(scaled.rows == 2 && scaled.columns == 3)
    }
  }

  @Test("of any shape, in pieces", arguments: [(3, 70_000), (70_000, 3), (1, 200_000), (300, 500)])
  func pieces(rows: Int, columns: Int) throws {
    let values = (0..<rows * columns).map { Float($0 % 65_521) }
    let panels = try Self.panels(values, rows: rows, dtype: .f32).scaled(by: -10)
    for (lines, part) in [
      (0..<rows, 0..<columns), (0..<rows, columns / 2..<columns), (rows / 3..<rows, 0..<min(columns, 3)),
    ] {
      let wanted = lines.flatMap { row in
        values[row * columns..<(row + 1) * columns][...].dropFirst(part.lowerBound).prefix(part.count).map { $0 * 1024 }
      }
      #expect(try Self.read(panels, lines, part, as: Float.self) == wanted)
      #expect(try Self.read(panels, lines, part, as: Double.self) == wanted.map { Double($0) })
    }
  }
}
