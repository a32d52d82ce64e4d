import DistSVD
import Testing

@Suite("Block-cyclic layout")
struct BlockCyclicTests {
  static let lengths = [0, 1, 2, 31, 32, 33, 64, 65, 130, 1000]

  @Test("deals every element to one part, in order and without gaps", arguments: lengths, [1, 2, 3, 5, 8])
  func axis(length: Int, parts: Int) {
    for block in [1, 4, 32] {
      let axis = CyclicAxis(length: length, block: block, parts: parts)
      // The definition, an element at a time.
      var held = [[Int]](repeating: [], count: parts)
      for index in 0..<length { held[index / block % parts].append(index) }
      for part in 0..<parts {
        #expect(axis.count(on: part) == held[part].count)
        #expect(held[part].indices.map { axis.global($0, on: part) } == held[part])
        for limit in 0...length {
          #expect(axis.count(on: part, below: limit) == held[part].filter { $0 < limit }.count)
        }
        #expect(axis.blocks(on: part, in: 0..<length).flatMap { $0 } == held[part])
      }
      for index in 0..<length {
        #expect(held[axis.owner(of: index)][axis.local(index)] == index)
      }
    }
  }

  @Test("blocks of a range that starts on one", arguments: [33, 130, 200])
  func blocks(length: Int) {
    let axis = CyclicAxis(length: length, block: 32, parts: 3)
    for first in stride(from: 0, to: length, by: 32) {
      for part in 0..<3 {
        let wanted = (first..<length).filter { $0 / 32 % 3 == part }
        #expect(axis.blocks(on: part, in: first..<length).flatMap { $0 } == wanted)
      }
    }
  }

  @Test("the parts of all ranks make the matrix", arguments: [1, 5, 32, 100], 1...12)
  func matrix(order: Int, ranks: Int) {
    let shape = ProcessGrid.shape(of: ranks)
    let layout = BlockCyclic(order: order, gridRows: shape.rows, gridColumns: shape.columns)
    var area = 0
    for rank in 0..<ranks {
      let (row, column) = layout.position(of: rank)
      #expect(layout.rank(row: row, column: column) == rank)
      #expect(layout.leadingDimension(row: row) == max(1, layout.rows.count(on: row)))
      area += layout.rows.count(on: row) * layout.columns.count(on: column)
      // The planner counts on the first rank's being the largest.
      #expect(layout.rows.count(on: row) <= layout.rows.count(on: 0))
      #expect(layout.columns.count(on: column) <= layout.columns.count(on: 0))
    }
    #expect(area == order * order)
  }
}

@Suite("Teams")
struct TeamShapeTests {
  @Test("a grid is as near to a square as its divisors allow")
  func grids() {
    let wanted = [
      1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 2), 6: (2, 3), 7: (1, 7), 12: (3, 4), 16: (4, 4), 18: (3, 6), 64: (8, 8),
      96: (8, 12),
    ]
    for (size, shape) in wanted { #expect(ProcessGrid.shape(of: size) == shape, "\(size) ranks") }
  }

  @Test(
    "shares cover the streaming side, in multiples of 16",
    arguments: [(1, 1), (15, 4), (16, 16), (300, 7), (8192, 2048), (28672, 8192)], 1...9)
  func shares(shape: (rows: Int, columns: Int), members: Int) {
    let panels = PanelShape(rows: shape.rows, columns: shape.columns)
    let shares = (0..<members).map { panels.share(of: $0, among: members) }
    #expect(shares.first?.lowerBound == 0 && shares.last?.upperBound == panels.stream)
    #expect(zip(shares, shares.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    for share in shares {
      #expect(share.lowerBound.isMultiple(of: 16) || share.isEmpty)
      #expect(share.count <= (panels.stream + 16 * members - 1) / members + 16)
    }
  }

  @Test("memory falls with the members, and is that of a few parts of the matrix")
  func bytes() {
    let order = 16384
    let part = order * order * 8
    for precision in Precision.allCases {
      let width = precision == .f64 ? 1 : 2
      let needed = [1, 4, 16].map { TeamEigensolver.bytes(order: order, members: $0, precision: precision) }
      for (bytes, members) in zip(needed, [1, 4, 16]) {
        // Matrix, vectors, and twice that of workspace; on top at most an eighth, and fixed panels.
        #expect(bytes >= 4 * part / width / members)
        #expect(bytes <= 9 * part / width / members / 2 + 256 << 20)
      }
    }
  }
}
