import DistSVD

extension MachineRates {
  /// How a team of ranks that decomposes one matrix compares to a rank alone.
  package struct TeamRates: Codable, Sendable, Equatable {
    /// `p?syevd`'s rate on one rank, as a share of the local eigensolver's.
    package var relativeDouble: Double
    /// The same in single precision.
    package var relativeSingle: Double
    /// s in the share 1/(1 + s·(√t − 1)/n) that a member of a team of t keeps at order n: what it sends grows as n²/√t, its work as
    /// n³/t, and one rank sends nothing.
    package var spread: Double
    /// Bytes a second that a rank exchanges with its team.
    package var exchangeBytesPerSecond: Double
    /// The sizes of the teams that were measured, ascending; none if all numbers are built in. With one rank alone, `spread` and
    /// `exchangeBytesPerSecond` still are.
    package var measuredRanks: [Int]

    enum CodingKeys: String, CodingKey {
      case spread
      case relativeDouble = "relative_f64"
      case relativeSingle = "relative_f32"
      case exchangeBytesPerSecond = "exchange_bytes_per_second"
      case measuredRanks = "measured_ranks"
    }

    /// Fitted to `p?syevd` on 1 and 2 ranks at order 2048; used until calibration has measured teams.
    package static let standard = TeamRates(
      relativeDouble: 0.58, relativeSingle: 0.62, spread: 300, exchangeBytesPerSecond: 2e9, measuredRanks: [])

    /// The share of the local eigensolver's rate that each of `team` ranks keeps at `order`.
    package func efficiency(team: Int, order: Int, precision: Precision) -> Double {
      let alone = precision == .f64 ? relativeDouble : relativeSingle
      return alone / (1 + spread * Self.distance(team: team, order: order))
    }

    /// (√t − 1)/n.
    package static func distance(team: Int, order: Int) -> Double {
      (Double(max(team, 1)).squareRoot() - 1) / Double(max(order, 1))
    }

    /// Whether every number can be what it says.
    var isSensible: Bool {
      [relativeDouble, relativeSingle].allSatisfy { $0 > 0.001 && $0 <= 10 } && spread >= 0 && spread.isFinite
        && exchangeBytesPerSecond.isFinite && exchangeBytesPerSecond >= 1 && measuredRanks.allSatisfy { $0 >= 1 }
    }
  }
}

extension MachineRates.TeamRates {
  /// Reads what calibration has stored, also before it measured teams.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    relativeDouble = try values.decode(Double.self, forKey: .relativeDouble)
    relativeSingle = try values.decode(Double.self, forKey: .relativeSingle)
    spread = try values.decode(Double.self, forKey: .spread)
    exchangeBytesPerSecond = try values.decode(Double.self, forKey: .exchangeBytesPerSecond)
    measuredRanks = try values.decodeIfPresent([Int].self, forKey: .measuredRanks) ?? []
  }
}
