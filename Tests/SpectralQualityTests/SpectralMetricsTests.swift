import Testing

@testable import SpectralQuality

/// Figures of WeightWatcher 0.7.7 for diagonal matrices, made by `weightwatcher_oracle.details([matrix], mp_fit=True, detX=True,
/// fix_fingers='clip_xmax')`.
private struct Reference {
  let singularValues: [Double]
  let rows: Int
  let figures: [String: Double]
}

private let references: [String: Reference] = [
  "steep": Reference(
    singularValues: (0..<64).map { Double(Float(256 / Double($0 + 1))) }, rows: 100,
    figures: [
      "D": 0.017657799998261003, "ERG_gap": -49, "Q": 1.5625, "W_scale": 0.02448116600626743,
      "alpha": 1.5245874235816128, "alpha_weighted": 7.343144728162131, "bulk_max": 481.4513639999998,
      "bulk_min": 5.943843999999995, "detX_num": 15, "detX_val": 291.27114149305635,
      "detX_val_unrescaled": 0.1745668018568937, "entropy": 0.37045508570285723, "lambda_max": 65536.0,
      "log_alpha_norm": 7.419603537030652, "log_norm": 5.028515776282897, "log_spectral_norm": 4.816479930623699,
      "matrix_rank": 64, "mp_softrank": 0.007346364807128903, "norm": 106786.3583296749, "num_ERG_spikes": 15,
      "num_evals": 64, "num_fingers": 0, "num_pl_spikes": 64, "num_spikes": 9, "rank_loss": 0,
      "raw_alpha": 1.5245874235816128, "sigma": 0.0655734279477016, "sigma_mp": 0.2984254136163999,
      "spectral_norm": 65536.0, "stable_rank": 1.629430516505049, "sv_max": 256.0, "sv_min": 4.0,
      "weak_rank_loss": 0, "xmax": 65536.0, "xmin": 16.0,
    ]),
  "bulk": Reference(
    singularValues: (0..<96).map { Double($0 + 40) / 64 }, rows: 192,
    figures: [
      "D": 0.17818238302870476, "ERG_gap": 57, "Q": 2.0, "W_scale": 0.6972949159587647, "alpha": 5.953915243010915,
      "alpha_weighted": 3.8599684364391575, "bulk_max": 4.633375538044053, "bulk_min": 0.13639384111326694,
      "detX_num": 82, "detX_val": 0.7119140625, "detX_val_unrescaled": 0.34614699772479957,
      "entropy": 0.9616559924642128, "lambda_max": 4.449462890625, "log_alpha_norm": 4.900021275907163,
      "log_norm": 2.2954382355685055, "log_spectral_norm": 0.6483075890222378, "matrix_rank": 96,
      "mp_softrank": 1.0413336737354426, "norm": 197.44140625, "num_ERG_spikes": 82, "num_evals": 96,
      "num_fingers": 0, "num_pl_spikes": 25, "num_spikes": 0, "rank_loss": 0, "raw_alpha": 5.953915243010915,
      "sigma": 0.9907830486021829, "sigma_mp": 0.8792341782556087, "spectral_norm": 4.449462890625,
      "stable_rank": 44.37421124828532, "sv_max": 2.109375, "sv_min": 0.625, "weak_rank_loss": 0,
      "xmax": 4.449462890625, "xmin": 3.008056640625,
    ]),
  "square": Reference(
    singularValues: (0..<128).map { Double($0 + 1) / 64 }, rows: 128,
    figures: [
      "D": 0.17888361825596738, "ERG_gap": 73, "Q": 1.0, "W_scale": 0.860982218725218, "alpha": 5.661555875196741,
      "alpha_weighted": 3.4085962811237245, "bulk_max": 5.342526621337894, "bulk_min": 0.0, "detX_num": 98,
      "detX_val": 0.234619140625, "detX_val_unrescaled": 0.17392091213464847, "entropy": 0.9117818953403853,
      "lambda_max": 4.0, "log_alpha_norm": 4.445797922471485, "log_norm": 2.2372216049269937,
      "log_spectral_norm": 0.6020599913279624, "matrix_rank": 128, "mp_softrank": 1.3356316553344736,
      "norm": 172.671875, "num_ERG_spikes": 98, "num_evals": 128, "num_fingers": 0, "num_pl_spikes": 25,
      "num_spikes": 0, "rank_loss": 0, "raw_alpha": 5.661555875196741, "sigma": 0.9323111750393481,
      "sigma_mp": 0.9950331143265845, "spectral_norm": 4.0, "stable_rank": 43.16796875, "sv_max": 2.0,
      "sv_min": 0.015625, "weak_rank_loss": 0, "xmax": 4.0, "xmin": 2.640625,
    ]),
  "few": Reference(
    singularValues: (0..<12).map { Double(Float(power(2, Double($0) / 2))) }, rows: 12,
    figures: [
      "D": 0.1511883602924991, "ERG_gap": -3, "Q": 1.0, "W_scale": 0.054133196813710135, "alpha": 1.2885390097609533,
      "alpha_weighted": 4.266777798578838, "bulk_max": 1061.6831636601312, "bulk_min": 0.0, "detX_num": 7,
      "detX_val": 31.999998904686663, "detX_val_unrescaled": 0.09377289270299058, "entropy": 0.5569702184790762,
      "lambda_max": 2047.9999298999464, "log_alpha_norm": 4.495449282922971, "log_norm": 3.6122538961862594,
      "log_spectral_norm": 3.311329937438526, "matrix_rank": 12, "mp_softrank": 0.5183999999999994,
      "norm": 4094.999906556081, "num_ERG_spikes": 7, "num_evals": 12, "num_fingers": 0, "num_pl_spikes": 10,
      "num_spikes": 1, "rank_loss": 0, "raw_alpha": 1.2885390097609533, "sigma": 0.09124404646541684,
      "sigma_mp": 0.8819239656771349, "spectral_norm": 2047.9999298999464, "stable_rank": 1.9995117415634576,
      "sv_max": 45.25483322143555, "sv_min": 1.0, "weak_rank_loss": 0, "xmax": 2047.9999298999464, "xmin": 4.0,
    ]),
]

@Suite("Spectral metrics")
struct SpectralMetricsTests {
  private let everything = SpectralOptions(
    fitsFingers: true, fitsTruncated: true, fitsMarchenkoPastur: true, bootstraps: 5, seed: 1, stream: 2)

  @Test("are WeightWatcher's", arguments: ["steep", "bulk", "square", "few"])
  func reference(name: String) throws {
    let reference = try #require(references[name])
    let spectrum = try Spectrum(
      singularValues: reference.singularValues, rows: reference.rows, columns: reference.singularValues.count)
    let columns = SpectralMetrics(spectrum, options: everything).columns
    for (column, wanted) in reference.figures {
      let cell = try #require(columns.first { $0.name == column }, "\(column)").value
      switch try #require(cell, "\(column)") {
      case .number(let found): #expect(abs(found - wanted) <= 1e-12 * abs(wanted), "\(column): \(found), not \(wanted)")
      case .count(let found): #expect(Double(found) == wanted, "\(column)")
      case .text(let found): Issue.record("\(column) is \(found)")
      }
    }
  }

  @Test("have WeightWatcher's columns in its order")
  func order() throws {
    let spectrum = try Spectrum(singularValues: (1...30).map { Double($0) }, rows: 30, columns: 40)
    let vector = try #require(VectorMetrics([1, 2, 3]))
    let metrics = SpectralMetrics(
      spectrum, randomized: [spectrum], vectors: [(1, vector), (900, vector)], options: everything)
    let identity: [(name: String, value: MetricValue?)] = [
      ("layer_id", .count(3)), ("name", .text("w")), ("longname", .text("a.w")), ("layer_type", .text("dense")),
    ]
    let wanted = """
      layer_id name D ERG_gap M N Q W_scale alpha alpha_weighted bulk_max bulk_mean_loc_ratio \
      bulk_mean_part_ratio bulk_mean_vec_entropy bulk_min bulk_var_loc_ratio bulk_var_part_ratio \
      bulk_var_vec_entropy detX_num detX_val detX_val_unrescaled entropy has_esd lambda_max layer_type \
      log_alpha_norm log_norm log_spectral_norm longname matrix_rank max_rand_eval mp_softrank norm \
      num_ERG_spikes num_evals num_fingers num_pl_spikes num_spikes num_traps rand_W_scale rand_bulk_max \
      rand_bulk_min rand_distance rand_mp_softrank rand_num_spikes rand_sigma_mp rank_loss raw_alpha rf sigma \
      sigma_mp spectral_norm stable_rank status sv_max sv_min tail_mean_loc_ratio tail_mean_part_ratio \
      tail_mean_vec_entropy tail_var_loc_ratio tail_var_part_ratio tail_var_vec_entropy warning weak_rank_loss \
      ww_maxdist ww_softrank xmax xmin
      """
    let names = metrics.row(identity).map(\.name)
    #expect(
      names.filter { $0 != "Lambda" && !SpectralMetrics.ownColumns.contains($0) }.joined(separator: " ") == wanted)
    #expect(Array(names.suffix(3)) == ["alpha_tpl", "pl_pvalue", "tpl_gain"])
    let plain = SpectralMetrics(spectrum).columns.map(\.name)
    #expect(!plain.contains { $0.hasPrefix("rand_") || $0.contains("_mp") || $0 == "Lambda" || $0 == "raw_alpha" })
  }

  @Test("that are missing have a reason, and none is NaN", arguments: 0..<hostile.count)
  func missing(index: Int) throws {
    let (rows, columns, values) = hostile[index]
    let spectrum = try Spectrum(singularValues: values, rows: rows, columns: columns)
    let vector = try #require(VectorMetrics([1, 2]))
    let all = SpectralMetrics(spectrum, randomized: [spectrum], vectors: [(1, vector)], options: everything)
    for metrics in [all, SpectralMetrics(spectrum)] {
      for (name, value) in metrics.columns {
        switch value {
        case nil: #expect(metrics.reasons[name]?.isEmpty == false, "\(name)")
        case .number(let number):
          #expect(number.isFinite, "\(name)")
          if number == -1, ["alpha", "D", "sigma", "xmin"].contains(name) { #expect(metrics.reasons[name] != nil) }
        default: break
        }
      }
      #expect(
        metrics.columns.contains {
          $0.name == "status" && $0.value == .text(metrics.fit.status == .success ? "success" : "failed")
        })
    }
  }

  @Test("of a failed fit carry no warning and no figures made of −1")
  func failed() throws {
    let metrics = SpectralMetrics(try Spectrum(singularValues: [3, 2, 1], rows: 3, columns: 3))
    #expect(metrics.fit.status == .tooFewEigenvalues && metrics.warning == .none && !metrics.isOverparameterized)
    #expect(metrics.alphaWeighted == nil && metrics.logAlphaNorm == nil && metrics.ergGap == nil)
    #expect(metrics.reasons["alpha"] == "fit: fewer than 8 eigenvalues")
  }
}

/// Shapes and singular values that leave fits without a hold.
private let hostile: [(rows: Int, columns: Int, values: [Double])] = [
  (3, 5, [1, 2, 3]), (1, 1, [0]), (1, 9, [2]), (20, 30, [Double](repeating: 0, count: 20)),
  (12, 12, [Double](repeating: 1, count: 12)), (40, 50, [5] + [Double](repeating: 0, count: 39)),
  (40, 40, (0..<40).map { 2000 * .leastNonzeroMagnitude * Double($0) }),
  (40, 60, (0..<40).map { 1e150 * Double($0 + 1) }),
  (40, 40, (0..<40).map { power(10, Double($0) * 3.8 - 3) }), (9, 9, [1e-3, 1e-2, 1, 1, 1, 1, 1, 1, 1e100]),
  (2000, 1500, (0..<1500).map { exponential(Double($0) / 20) }),
]
