/// The Marchenko–Pastur law that fits the bulk of a spectrum. It is the spectrum of random noise of one variance.
///
/// The fit is that of WeightWatcher 0.7.7, step by step:
///
/// 1. Scale the eigenvalues to mean 1: λ' = λ·W_scale².
/// 2. Estimate their density by a triangular kernel of half-width 0.1, at 1000 points from 0 to max λ' + ½.
/// 3. Choose the σ that minimises the sum of squared differences between the law and this density, at the points where
///    it is above 0.01; first on a grid, then by Nelder–Mead to 10⁻⁴.
/// 4. Count the eigenvalues beyond the end of the law.
///
/// For a square matrix, √λ' is compared with the quarter circle √(4 − x²)/(πσ²).
package struct MarchenkoPasturFit: Sendable, Equatable {
  /// The standard deviation σ of the noise, for the scaled spectrum.
  package let sigma: Double
  /// The eigenvalue where the bulk ends, (σ(1 + √(M/N)))²/W_scale².
  package let bulkMax: Double
  /// The eigenvalue where the bulk begins, (σ(1 − √(M/N)))²/W_scale².
  package let bulkMin: Double
  /// The number of eigenvalues that lie beyond the end of the bulk by more than its Tracy–Widom fluctuation.
  package let spikes: Int
  /// The end of the bulk over the largest eigenvalue.
  package let softRank: Double
  /// W_scale = √(count/Σλ).
  package let scale: Double

  /// The reason why there is no fit.
  package enum Failure: Error, Sendable {
    /// All eigenvalues are zero, or there are none.
    case noSpectrum
    /// Eigenvalues lie so far apart that the density is nowhere above 0.01.
    case tooSparse
    /// For no σ does the support of the law contain the peak of the density. WeightWatcher reports the first σ of its
    /// grid then.
    case noBulk
  }

  /// The root of the cost of each point where the support does not fit the density.
  private static let penalty = 1000.0

  /// Fits the law to eigenvalues of a matrix whose sides are `larger` and `smaller`.
  ///
  /// - Parameter eigenvalues: ascending, finite, ≥ 0. They may be those of one matrix, of all positions of a
  ///   convolution, or of several replicas.
  /// - Complexity: O(n) for the density + 250 evaluations of 1000 points.
  package static func fit(_ eigenvalues: [Double], larger: Int, smaller: Int) throws(Failure) -> MarchenkoPasturFit {
    // 1. Scale the eigenvalues.
    let total = eigenvalues.compensatedSum
    guard let largest = eigenvalues.last, total > 0, total.isFinite, larger > 0, smaller > 0 else {
      throw .noSpectrum
    }
    let scale = Double(eigenvalues.count).squareRoot() / total.squareRoot()
    let scaled = eigenvalues.map { scale * scale * $0 }
    let ratio = Double(larger) / Double(smaller)
    let inverseRoot = 1 / ratio.squareRoot()
    guard let top = scaled.last, top.isFinite, top > 0, largest > 0, scale.isFinite else { throw .noSpectrum }
    // 2. Their density.
    let density = KernelDensity(larger == smaller ? scaled.map { $0.squareRoot() } : scaled)
    guard let end = density.points.last, !density.points.isEmpty else { throw .tooSparse }

    /// Σ (law − density)² over the points, or a penalty for each point.
    func cost(_ sigma: Double) -> Double {
      if larger == smaller {
        var sum = CompensatedSum()
        for (x, y) in zip(density.points, density.values) {
          let law = x > 2 ? 0 : 1 / (.pi * sigma * sigma) * (4 - x * x).squareRoot()
          sum.add((law - y) * (law - y))
        }
        return sum.value
      }
      let (low, high) = (Self.edge(sigma, 1 - inverseRoot), Self.edge(sigma, 1 + inverseRoot))
      if high < density.peak || high > end || low > density.peak {
        return Self.penalty * Self.penalty * Double(density.points.count)
      }
      var sum = CompensatedSum()
      for (x, y) in zip(density.points, density.values) {
        let law =
          x < low || x > high || x <= 0
          ? 0 : 1 / (2 * .pi * sigma * sigma * x * (1 / ratio)) * ((high - x) * (x - low)).squareRoot()
        sum.add((law - y) * (law - y))
      }
      return sum.value
    }

    // 3. The best σ, on a grid and then near its best point.
    let guess = (top / ((1 + inverseRoot) * (1 + inverseRoot))).squareRoot()
    let (gridSigma, gridCost) = Self.smallest(of: cost, from: 0.05 * guess, to: 2 * guess, step: 0.01 * guess)
    guard gridCost < Self.penalty * Self.penalty else { throw .noBulk }
    let sigma = NelderMead.minimum(of: cost, near: gridSigma)
    // 4. The bulk's edges, and the eigenvalues beyond.
    let (bulkMin, bulkMax) = (Self.edge(sigma, 1 - inverseRoot), Self.edge(sigma, 1 + inverseRoot))
    let fluctuation = inverseRoot * power(bulkMax, 2.0 / 3) * power(Double(smaller), -2.0 / 3)
    let spikeBound = bulkMax + fluctuation.squareRoot()
    return MarchenkoPasturFit(
      sigma: sigma, bulkMax: bulkMax / (scale * scale), bulkMin: bulkMin / (scale * scale),
      spikes: scaled.count { $0 > spikeBound }, softRank: bulkMax / top, scale: scale)
  }

  private static func edge(_ sigma: Double, _ factor: Double) -> Double { sigma * factor * (sigma * factor) }

  /// The smallest cost on the grid of `scipy.optimize.brute`, the first of equal ones.
  ///
  /// The grid is numpy's `arange`, whose spacing is the rounded difference of its first two points.
  private static func smallest(
    of cost: (Double) -> Double, from start: Double, to stop: Double, step: Double
  ) -> (sigma: Double, cost: Double) {
    let steps = ((stop - start) / step).rounded(.up)
    let spacing = start + step - start
    var best = (sigma: start, cost: cost(start))
    // There are 195 or 196 points, as the quotient rounds. A degenerate step makes NaN, and no second point.
    guard steps > 1, steps < 1000 else { return best }
    for index in 1..<Int(steps) {
      let sigma = start + Double(index) * spacing
      let found = cost(sigma)
      if found < best.cost { best = (sigma, found) }
    }
    return best
  }
}

/// The density estimate of a triangular kernel at 1000 equal points, without the points where it is 0.01 or less.
struct KernelDensity {
  let points: [Double]
  let values: [Double]
  /// The first point of largest density; 0 without points.
  let peak: Double

  /// - Parameter samples: ascending, ≥ 0, finite.
  /// - Complexity: O(1000 · the samples within a width of 0.2).
  init(_ samples: [Double]) {
    let (count, width, threshold) = (1000, 0.1, 0.01)
    let last = (samples.last ?? 0) + 0.5
    let step = last / Double(count - 1)
    var points: [Double] = []
    var values: [Double] = []
    for index in 0..<count {
      let point = index == count - 1 ? last : Double(index) * step
      var sum = CompensatedSum()
      var position = samples.lowerBound(point - width)
      while position < samples.count {
        let distance = abs(samples[position] - point)
        if distance >= width, samples[position] > point { break }
        if distance < width { sum.add(1 - distance / width) }
        position += 1
      }
      let density = sum.value / (width * Double(samples.count))
      if density > threshold {
        points.append(point)
        values.append(density)
      }
    }
    self.points = points
    self.values = values
    let highest = values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
    peak = points.isEmpty ? 0 : points[highest]
  }
}

/// The simplex search of Nelder and Mead in one dimension, with the steps and defaults of `scipy.optimize.fmin`.
enum NelderMead {
  /// The position where `cost` is smallest near `start`, to 10⁻⁴ in position and value.
  static func minimum(of cost: (Double) -> Double, near start: Double) -> Double {
    var best = (x: start, cost: cost(start))
    let moved = start == 0 ? 0.00025 : 1.05 * start
    var other = (x: moved, cost: cost(moved))
    var calls = 2
    func order() { if other.cost < best.cost { swap(&best, &other) } }
    order()
    for _ in 1..<200 where calls < 200 {
      if abs(other.x - best.x) <= 1e-4, abs(best.cost - other.cost) <= 1e-4 { break }
      let reflected = 2 * best.x - other.x
      let atReflected = cost(reflected)
      calls += 1
      if atReflected < best.cost {
        let expanded = 3 * best.x - 2 * other.x
        let atExpanded = cost(expanded)
        calls += 1
        other = atExpanded < atReflected ? (expanded, atExpanded) : (reflected, atReflected)
      } else {
        let outside = atReflected < other.cost
        let contracted = outside ? 1.5 * best.x - 0.5 * other.x : 0.5 * best.x + 0.5 * other.x
        let atContracted = cost(contracted)
        calls += 1
        if outside ? atContracted <= atReflected : atContracted < other.cost {
          other = (contracted, atContracted)
        } else {
          let shrunk = best.x + 0.5 * (other.x - best.x)
          other = (shrunk, cost(shrunk))
          calls += 1
        }
      }
      order()
    }
    return best.x
  }
}
