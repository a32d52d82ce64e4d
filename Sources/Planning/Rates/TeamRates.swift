import DistSVD

extension MachineRates {
  /// How a team of ranks that decomposes one matrix compares to a rank alone.
  package struct TeamRates: Codable, Sendable, Equatable {
    /// The rate of `p?syevd` on one rank in double precision, as a share of the local eigensolver's rate.
    package var relativeDouble: Double
    /// The rate of `p?syevd` on one rank in single precision, as a share of the local eigensolver's rate.
    package var relativeSingle: Double
    /// The number s in the share 1/(1 + s·(√t − 1)/n) of its rate that a member of a team of t keeps at order n.
    ///
    /// The form follows from what a member sends, which grows as n²/√t, and from its work, which grows as n³/t. One rank sends nothing.
    package var spread: Double
    /// The bytes a second that a rank exchanges with its team.
    package var exchangeBytesPerSecond: Double
    /// The sizes of the teams that were measured, ascending; empty if all numbers are built in.
    ///
    /// If only a team of one rank was measured, `spread` and `exchangeBytesPerSecond` are still built in.
    package var measuredRanks: [Int]

    enum CodingKeys: String, CodingKey {
      case spread
      case relativeDouble = "relative_f64"
      case relativeSingle = "relative_f32"
      case exchangeBytesPerSecond = "exchange_bytes_per_second"
      case measuredRanks = "measured_ranks"
    }

    /// The built-in rates, which are used until calibration has measured teams. They were fitted to `p?syevd` on 1 and 2 ranks at order
    /// 2048.
    package static let standard = TeamRates(
      relativeDouble: 0.58, relativeSingle: 0.62, spread: 300, exchangeBytesPerSecond: 2e9, measuredRanks: [])

    /// The share of the local eigensolver's rate that each of `team` ranks keeps at `order`.
    package func efficiency(team: Int, order: Int, precision: Precision) -> Double {
      let alone = precision == .f64 ? relativeDouble : relativeSingle
      return alone / (1 + spread * Self.distance(team: team, order: order))
    }

    /// The factor (√t − 1)/n by which ``spread`` is multiplied, for a team of t at order n.
    package static func distance(team: Int, order: Int) -> Double {
      (Double(max(team, 1)).squareRoot() - 1) / Double(max(order, 1))
    }

    /// Whether every number is finite and of a possible size, which those of a damaged or edited file may not be.
    var isSensible: Bool {
      [relativeDouble, relativeSingle].allSatisfy { $0 > 0.001 && $0 <= 10 } && spread >= 0 && spread.isFinite
        && exchangeBytesPerSecond.isFinite && exchangeBytesPerSecond >= 1 && measuredRanks.allSatisfy { $0 >= 1 }
    }
  }
}

extension MachineRates.TeamRates {
  /// Reads what calibration has stored. Files from before it measured teams lack `measured_ranks`, which counts as none.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    relativeDouble = try values.decode(Double.self, forKey: .relativeDouble)
    relativeSingle = try values.decode(Double.self, forKey: .relativeSingle)
    spread = try values.decode(Double.self, forKey: .spread)
    exchangeBytesPerSecond = try values.decode(Double.self, forKey: .exchangeBytesPerSecond)
    measuredRanks = try values.decodeIfPresent([Int].self, forKey: .measuredRanks) ?? []
  }
}
