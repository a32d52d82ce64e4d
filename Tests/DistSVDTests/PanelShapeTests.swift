import DistSVD
import Testing

@Suite("Panels")
struct PanelShapeTests {
  @Test(
    "cover the streaming side once, in order",
    arguments: [(1, 1), (2, 3), (64, 64), (65, 64), (8192, 2048), (2048, 8192), (28672, 8192), (1_000_000, 2)])
  func cover(rows: Int, columns: Int) {
    let shape = PanelShape(rows: rows, columns: columns)
    #expect(shape.core == min(rows, columns) && shape.stream == max(rows, columns))
    let panels = shape.panels(of: PanelShape.scoreElements)
    #expect(panels.first?.lowerBound == 0 && panels.last?.upperBound == shape.stream)
    #expect(zip(panels, panels.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    for panel in panels {
      #expect(!panel.isEmpty && shape.rows(panel).count * shape.columns(panel).count == panel.count * shape.core)
      #expect(panel.count * shape.core <= max(PanelShape.scoreElements, 64 * shape.core))
    }
  }
}

@Suite("Aligned buffers")
struct AlignedBufferTests {
  @Test("start on a cache line, hold zeros, and refuse what cannot be")
  func allocation() throws {
    for count in [0, 1, 7, 1000] {
      let buffer = try AlignedBuffer<Float>(count: count)
      withExtendedLifetime(buffer) {
        #expect(buffer.count == count && buffer.elements.allSatisfy { $0 == 0 })
        #expect(buffer.elements.baseAddress.map { UInt(bitPattern: $0) % 64 } == 0)
      }
    }
    #expect(throws: SolverError.outOfMemory(bytes: .max)) { try AlignedBuffer<Double>(count: .max / 4) }
  }
}
