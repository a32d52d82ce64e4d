import Foundation
import ShardIO
import SpectralQuality
import TestSupport
import Testing

@testable import Comparison
@testable import Execution
@testable import RunCore
@testable import Spectra
@testable import Weights

/// What one side of a pair might have measured.
private struct Side {
  var alpha: Double? = 3
  var sigma = 0.1
  /// log10 of Σλ; nil for all zeros.
  var logNorm: Double? = 2
  /// log10 of the stable rank, Σλ over the largest.
  var logStableRank = 1.0
  var rank99 = 60

  static let zero = Side(alpha: nil, logNorm: nil, rank99: 0)

  /// By way of the journal's form: there is no other that takes any number.
  var quality: MatrixQuality {
    get throws {
      var fields = ["resolvedRank": "64", "rank99": "\(rank99)", "warning": "\"\"", "reasons": "{}"]
      if let alpha { (fields["alpha"], fields["sigma"]) = ("\(alpha)", "\(sigma)") }
      if let logNorm { (fields["logNorm"], fields["logSpectralNorm"]) = ("\(logNorm)", "\(logNorm - logStableRank)") }
      let text = "{" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
      return try JSONDecoder().decode(MatrixQuality.self, from: Data(text.utf8))
    }
  }
}

private func compared(_ pairs: [(Side, Side)], norm: Double = 1) throws -> [ComparedMatrix] {
  try pairs.enumerated().map { ordinal, sides in
    ComparedMatrix(
      ordinal: ordinal, base: try sides.0.quality, tuned: try sides.1.quality, norm: norm, relativeNorm: 0.1,
      alignment: 1)
  }
}

/// Sides whose logs of squared norms differ by these.
private func scaled(_ changes: [Double]) -> [(Side, Side)] { changes.map { (Side(), Side(logNorm: 2 + $0)) } }

/// log10 of 8²: of a matrix that is scaled by 8.
private let byEight = 2 * log10(8.0)

@Suite("Flags of scale and rank")
struct ScaleFlagTests {
  private static func flags(_ pairs: [(Side, Side)]) throws -> [[ScaleFlags.Flag]] {
    try ScaleFlags(compared(pairs)).flags
  }

  @Test("mark a layer that was scaled, and only that", arguments: [byEight, -byEight])
  func layer(change: Double) throws {
    let found = try Self.flags(scaled((0..<16).map { $0 == 5 ? change : 0.001 * Double($0) }))
    #expect(found.enumerated().allSatisfy { $1 == ($0 == 5 ? [.spectral, .frobenius] : []) })
  }

  @Test("mark none where all were scaled alike, or where so many were that none is odd")
  func model() throws {
    #expect(
      try Self.flags(scaled([Double](repeating: byEight, count: 9))) == [[ScaleFlags.Flag]](repeating: [], count: 9))
    #expect(
      try Self.flags(scaled((0..<16).map { $0 % 2 == 0 ? -0.7 : 0 })) == [[ScaleFlags.Flag]](repeating: [], count: 16))
  }

  @Test("need three matrices to tell which is out of step")
  func few() throws {
    #expect(try Self.flags([]).isEmpty)
    #expect(try Self.flags(scaled([byEight])) == [[]])
    #expect(try Self.flags(scaled([0, byEight])) == [[], []])
    #expect(try Self.flags(scaled([0, byEight, 0])) == [[], [.spectral, .frobenius], []])
  }

  @Test(
    "begin beyond half a decade, and beyond five median deviations",
    arguments: [
      ([0, 0, 0, 0.5], false), ([0, 0, 0, 0.5000001], true), ([-0.2, 0, 0.2, 0, 0.99], false),
      ([-0.2, 0, 0.2, 0, 1.01], true),
    ] as [([Double], Bool)])
  func bounds(changes: [Double], isFlagged: Bool) throws {
    // Their median is 0; the median deviation is 0, or 0.2.
    let found = try Self.flags(scaled(changes))
    #expect(found.map(\.isEmpty) == changes.dropLast().map { _ in true } + [!isFlagged])
  }

  @Test("tell one norm from the other")
  func norms() throws {
    var pairs = scaled([0, 0, 0, 0, 0.6])
    pairs[2].1.logStableRank = 0.4
    pairs[4].1.logStableRank = 1.6
    #expect(try Self.flags(pairs) == [[], [], [.spectral], [], [.frobenius]])
  }

  @Test("mark what has vanished, what has appeared, and not what was zero before and after")
  func zeros() throws {
    let found = try Self.flags([(Side(), .zero), (.zero, Side()), (.zero, .zero), (Side(), Side())])
    #expect(found == [[.vanished], [.appeared], [], []])
    #expect(ScaleFlags.text(found[0]) == "vanished" && ScaleFlags.text([.spectral, .rank]) == "spectral rank")
  }

  @Test(
    "mark less than half of the directions",
    arguments: [(60, 30, false), (60, 29, true), (1, 1, false), (2, 1, false), (3, 1, true)])
  func rank(before: Int, after: Int, isFlagged: Bool) throws {
    let found = try Self.flags([(Side(rank99: before), Side(rank99: after))])
    #expect(found == [isFlagged ? [.rank] : []])
  }
}

@Suite("Trends of alpha")
struct TrendTests {
  @Test(
    "count what goes beyond the standard error, towards the range 2…6 or away from it",
    arguments: [
      // Inside the range nothing is better than anything else.
      (2.5, 5.5, 0.1, .unchanged), (5.5, 2.0, 0.1, .unchanged), (8, 5, 0.1, .improved), (1.5, 4, 0.1, .improved),
      (5, 8, 0.1, .worsened), (4, 1.5, 0.1, .worsened), (7, 7.1, 0.2, .unchanged), (7, 6.5, 0.4, .improved),
      // As far above as below.
      (7, 1, 0.1, .unchanged), (8, 1.5, 0.1, .improved), (1.5, 8, 0.1, .worsened), (6, 6.5, 0.5, .unchanged),
    ] as [(Double, Double, Double, ComparedMatrix.Trend)])
  func trend(before: Double, after: Double, sigma: Double, wanted: ComparedMatrix.Trend) throws {
    for (first, second) in [(sigma, 0.01), (0.01, sigma), (sigma, sigma)] {
      let pair = (Side(alpha: before, sigma: first), Side(alpha: after, sigma: second))
      #expect(try compared([pair])[0].trend == wanted)
    }
  }

  @Test("need a fit on both sides")
  func unfitted() throws {
    for pair in [(Side(alpha: nil), Side()), (Side(), Side(alpha: nil)), (.zero, .zero)] {
      #expect(try compared([pair])[0].trend == nil)
    }
  }
}

@Suite("The verdict of a comparison")
struct VerdictTests {
  /// - Parameter extra: the rows of a matrix 64 columns wide that one model alone has.
  private static func summary(
    _ pairs: [(Side, Side)], norm: Double = 1, extra: (base: Int, tuned: Int) = (0, 0)
  ) throws -> ComparisonSummary {
    let tensors = pairs.indices.map { ("h.\($0 + 10).fc1.weight", DType.f32, [64, 64]) }
    func model(_ name: String, _ rows: Int) throws -> Catalog {
      try catalog(tensors + (rows == 0 ? [] : [(name, DType.f32, [rows, 64])]))
    }
    let (base, tuned) = (try model("h.1.only", extra.base), try model("h.2.only", extra.tuned))
    let matrices = try compared(pairs, norm: norm)
    let source = CheckpointSource(fingerprint: "", matrices: pairs.count, weights: 4096 * pairs.count)
    return ComparisonSummary(
      matrices, ScaleFlags(matrices), of: MatrixPairing(base, tuned), MatrixRoles(base),
      norms: Norms(squared: pairs.map { _ in 4 }, blockHashes: pairs.map { _ in [] }, fingerprint: ""), version: "",
      parameters: .init(ComparisonChoice(), TensorParameters(CatalogOptions(), threads: 1)), base: source,
      tuned: source, details: [])
  }

  @Test("of what has not changed, and of what has changed a little")
  func healthy() throws {
    let equal = try Self.summary(scaled([0, 0, 0]), norm: 0)
    #expect(equal.verdict == .init(status: .equal, compared: .equal, reasons: ["no weight has changed"]))
    #expect(equal.update.equal == 3 && equal.update.relativeNorm == 0)
    let tuned = try Self.summary(scaled([0, 0.01, -0.01, 0.02]))
    #expect(tuned.verdict.status == .unharmed && tuned.flags.isEmpty)
    #expect(tuned.verdict.reasons.last == "alpha is closer to 2…6 in 0 of 4 fits, farther from it in 0")
    #expect(tuned.update.norm == 2 && tuned.update.relativeNorm == 0.5)
  }

  @Test(
    "is partial beyond a hundredth of the weights of either model, and says what the pairs tell",
    arguments: [
      // Of 99 matrices of 64 rows one more is a hundredth.
      ((64, 0), .unharmed, nil), ((0, 64), .unharmed, nil), ((64, 64), .unharmed, nil),
      ((65, 0), .partial, "98.98% of the weights of the base and 100.00% of those of the tuned model were compared"),
      ((0, 65), .partial, "100.00% of the weights of the base and 98.98% of those of the tuned model were compared"),
      (
        (64, 99 * 64), .partial,
        "99.00% of the weights of the base and 50.00% of those of the tuned model were compared"
      ),
    ] as [((Int, Int), ComparisonSummary.Verdict.Status, String?)])
  func partial(extra: (Int, Int), status: ComparisonSummary.Verdict.Status, share: String?) throws {
    let small = scaled([Double](repeating: 0, count: 99))
    let found = try Self.summary(small, extra: extra).verdict
    #expect((found.status, found.compared) == (status, .unharmed))
    guard let share else { return }
    #expect(found.reasons.prefix(2) == [share, "what was compared: unharmed"])
    let equal = try Self.summary(small, norm: 0, extra: extra).verdict
    #expect(equal.reasons == [share, "what was compared: equal", "no weight has changed"])
    #expect((equal.status, equal.compared) == (.partial, .equal))
    let harmed = try Self.summary(small.dropLast() + scaled([byEight]), extra: extra).verdict
    #expect((harmed.status, harmed.compared) == (.partial, .harmed))
    #expect(harmed.reasons.last == "1 of 99 matrices changed their scale out of step with the others")
  }

  @Test("of one layer, with its name and by how much")
  func layer() throws {
    let found = try Self.summary(scaled([0, 0, 0, 0, -byEight, 0, 0]))
    #expect(found.verdict.status == .harmed)
    #expect(found.verdict.reasons == ["1 of 7 matrices changed their scale out of step with the others"])
    #expect(found.flags.map(\.matrix) == ["h.14.fc1.weight"] && found.flags[0].kinds == ["spectral", "frobenius"])
    #expect(found.flags[0].message.contains("log10 by -1.81, -1.81 beyond the median"))
    #expect(found.roles.map(\.flagged) == [1] && found.roles[0].role == "up")
  }

  @Test("of the model as a whole", arguments: [0.51, -0.51, 3])
  func model(change: Double) throws {
    let found = try Self.summary(scaled([change, change, change]))
    #expect(found.flags.isEmpty && found.verdict.status == .harmed && found.verdict.reasons.count == 2)
    #expect(found.verdict.reasons.allSatisfy { $0.hasPrefix("the scale of the whole model has changed") })
    #expect(try Self.summary(scaled([0.49, 0.49, 0.49])).verdict.status == .unharmed)
  }

  @Test("of scales that have come apart")
  func spread() throws {
    let found = try Self.summary(scaled((0..<16).map { $0 % 2 == 0 ? -0.3 : 0 }))
    #expect(found.flags.isEmpty && found.verdict.status == .harmed)
    #expect(found.verdict.reasons.allSatisfy { $0.hasPrefix("the scales of matrices have come apart") })
    // A median deviation of a tenth is the last that is none.
    #expect(try Self.summary(scaled((0..<16).map { $0 % 2 == 0 ? -0.19 : 0 })).verdict.status == .unharmed)
  }

  @Test("of a model of one matrix, or of two")
  func few() throws {
    #expect(try Self.summary(scaled([byEight])).verdict.status == .harmed)
    #expect(try Self.summary(scaled([0, byEight])).verdict.status == .harmed)
    #expect(try Self.summary(scaled([0.1])).verdict.status == .unharmed)
  }

  @Test("of what has vanished, appeared, or lost its directions")
  func directions() throws {
    let found = try Self.summary([
      (Side(), .zero), (.zero, Side()), (Side(), Side(rank99: 3)), (Side(), Side()), (.zero, .zero),
    ])
    #expect(
      found.verdict.reasons == [
        "1 of 5 matrices lost half of their directions or more", "1 of 5 matrices became all zeros",
        "1 of 5 matrices are no longer all zeros",
      ])
    #expect(
      found.flags.map(\.message) == [
        "all of its weights have become zero", "all of its weights were zero in the base",
        "3 directions hold 99 % of its squared weights, where 60 did",
      ])
    #expect(found.trends.unfitted == 3 && found.trends.unchanged == 2)
  }

  @Test("of alphas that have gone away from 2…6 in more than half of the fits")
  func alphas() throws {
    func pairs(worse: Int, same: Int, better: Int) -> [(Side, Side)] {
      (0..<worse).map { _ in (Side(alpha: 4), Side(alpha: 9)) } + (0..<same).map { _ in (Side(), Side()) }
        + (0..<better).map { _ in (Side(alpha: 9), Side(alpha: 4)) } + [(.zero, .zero)]
    }
    let worse = try Self.summary(pairs(worse: 3, same: 1, better: 1))
    #expect(worse.verdict.reasons == ["alpha is farther from 2…6 than it was in 3 of 5 fits"])
    #expect((worse.trends.improved, worse.trends.worsened, worse.trends.unfitted) == (1, 3, 1))
    #expect((worse.trends.baseInRange, worse.trends.tunedInRange) == (0.8, 0.4))
    #expect(try Self.summary(pairs(worse: 2, same: 1, better: 1)).verdict.status == .unharmed)
    // Nothing can be said of models without fits.
    #expect(try Self.summary([(.zero, .zero)]).verdict.status == .unharmed)
  }
}
