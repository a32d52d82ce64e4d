import Execution
import SpectralQuality
import Weights

/// The measured values of one matrix: a row of `details.csv`.
package struct AnalyzedMatrix: MatrixRow {
  /// A cell of the row.
  enum Value: Codable, Equatable {
    case number(Double)
    case count(Int)
    case text(String)
  }

  package let ordinal: Int
  /// The cells: WeightWatcher's columns in their order, our own behind; an empty cell is nil.
  private(set) var cells: [(name: String, value: Value?)]
  /// Why a cell has no value, by column.
  private(set) var reasons: [String: String]
  /// The largest singular value σ₁; of a convolution, that of all kernel positions.
  package let spectralNorm: Double
  /// The sum Σσ of the singular values; of a convolution, over all kernel positions.
  package let nuclearNorm: Double
  /// Why the usual solver's result was refused; nil if it was not.
  package let rescue: String?

  /// - Parameter kernel: the kernel of a convolution; nil for other matrices.
  /// - Throws: ``RunFailure`` naming the matrix if its singular values are no spectrum.
  package init(
    _ matrix: Catalog.Matrix, ordinal: Int, role: MatrixRole, kernel: ConvolutionKernel?, _ spectra: MatrixSpectra,
    _ metrics: MetricChoice
  ) throws {
    func spectrum(_ values: [[Double]]) throws -> Spectrum {
      try Spectrum(values, of: matrix, positions: kernel?.positions)
    }
    // 1. Compute all metrics. A vector comes as four numbers: see ``MatrixSpectra/vectors``.
    let vectors = spectra.vectors ?? []
    let found = try SpectralMetrics(
      spectrum(spectra.singularValues), randomized: spectra.replicas.map(spectrum),
      vectors: stride(from: 0, to: vectors.count, by: 4).map {
        (
          vectors[$0],
          VectorMetrics(
            entropy: vectors[$0 + 1], localizationRatio: vectors[$0 + 2], participationRatio: vectors[$0 + 3])
        )
      }, options: metrics.spectral(matrix.name))
    self.ordinal = ordinal
    rescue = spectra.rescue
    spectralNorm = spectra.singularValues.joined().reduce(0, max)
    nuclearNorm = spectra.singularValues.joined().reduce(0, +)
    // 2. Make the cells: WeightWatcher's columns first, our own behind.
    cells = Self.cells(found, of: matrix, ordinal: ordinal, role: role, kernel: kernel)
    // 3. Empty the cells of what could not be measured, and say why.
    reasons = found.reasons
    if metrics.vectors, spectra.vectors == nil {
      leaveEmpty(
        SpectralMetrics.vectorColumns,
        kernel?.positions ?? 1 == 1 ? "vectors: the solver's were refused" : "vectors: not measured of convolutions")
    }
    if metrics.randomize, spectra.replicas.isEmpty {
      leaveEmpty(
        SpectralMetrics.randomizedColumns, "randomize: the matrix is too large for one process, and is not shuffled")
    }
    if spectra.resolution > 0 {
      leaveEmpty(
        ["sv_min", "matrix_rank", "rank_loss", "weak_rank_loss", "entropy"],
        "singular values below \(Float(spectra.resolution)) are not resolved")
    }
    // 4. A cell that is still empty without a reason has a value that Double cannot hold.
    for cell in cells where cell.value == nil && cell.name != "depth" && reasons[cell.name] == nil {
      reasons[cell.name] = "it is beyond what Double holds"
    }
  }

  private static func cells(
    _ metrics: SpectralMetrics, of matrix: Catalog.Matrix, ordinal: Int, role: MatrixRole, kernel: ConvolutionKernel?
  ) -> [(name: String, value: Value?)] {
    let longName = matrix.moduleName
    let short = longName.utf8.split(separator: UInt8(ascii: ".")).last.map { String(Substring($0)) } ?? longName
    let measured = metrics.row([
      ("layer_id", .count(ordinal)), ("name", .text(short)), ("longname", .text(longName)),
      ("layer_type", .text(ConvolutionKernel.layerType(kernel))),
    ]).map { ($0.name, $0.value.map(Value.init)) }
    return measured + [
      ("role", .text(role.name)), ("depth", role.depth.map { .count($0) }),
      ("rows", .count(matrix.rows)), ("columns", .count(matrix.columns)),
    ]
  }

  /// Empties the cells of the columns `names`, adding those that the row lacks, and records why.
  private mutating func leaveEmpty(_ names: [String], _ reason: String) {
    for name in names {
      if let index = cells.firstIndex(where: { $0.name == name }) {
        cells[index].value = nil
      } else {
        cells.append((name, nil))
      }
      reasons[name] = reason
    }
  }

  /// The number in a cell, which may be a count; nil if there is none.
  package func number(_ name: String) -> Double? {
    switch cells.first(where: { $0.name == name })?.value {
    case .number(let value): value
    case .count(let value): Double(value)
    case .text, nil: nil
    }
  }

  /// The text in a cell; empty if there is none.
  func text(_ name: String) -> String {
    guard case .text(let text) = cells.first(where: { $0.name == name })?.value else { return "" }
    return text
  }

  /// Whether the power law could be fitted. If not, `alpha` is −1, as in WeightWatcher.
  package var isFitted: Bool { text("status") == "success" }

  private enum CodingKeys: CodingKey {
    case ordinal, names, values, reasons, rescue, spectralNorm, nuclearNorm
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    ordinal = try container.decode(Int.self, forKey: .ordinal)
    let names = try container.decode([String].self, forKey: .names)
    cells = Array(zip(names, try container.decode([Value?].self, forKey: .values)))
    reasons = try container.decode([String: String].self, forKey: .reasons)
    spectralNorm = try container.decode(Double.self, forKey: .spectralNorm)
    nuclearNorm = try container.decode(Double.self, forKey: .nuclearNorm)
    rescue = try container.decodeIfPresent(String.self, forKey: .rescue)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(ordinal, forKey: .ordinal)
    try container.encode(cells.map(\.name), forKey: .names)
    try container.encode(cells.map(\.value), forKey: .values)
    try container.encode(reasons, forKey: .reasons)
    try container.encode(spectralNorm, forKey: .spectralNorm)
    try container.encode(nuclearNorm, forKey: .nuclearNorm)
    try container.encodeIfPresent(rescue, forKey: .rescue)
  }
}

extension AnalyzedMatrix.Value {
  init(_ value: MetricValue) {
    switch value {
    case .number(let number): self = .number(number)
    case .count(let count): self = .count(count)
    case .text(let text): self = .text(text)
    }
  }

  /// The value as it stands in a table. A number has as many digits as it takes to read it back exactly.
  var description: String {
    switch self {
    case .number(let number): "\(number)"
    case .count(let count): "\(count)"
    case .text(let text): CommaSeparated.escapingFormula(text)
    }
  }
}
