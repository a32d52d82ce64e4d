import Execution
import FactorCache
import RunCore
import ShardIO
import Weights

extension FactorFolder {
  /// Refuses factors that do not tell the spectra of all matrices: some triplets alone, or those of a convolution's whole kernel.
  ///
  /// - Throws: ``RunFailure`` naming the first such matrix.
  package func requireSpectra(of catalog: Catalog) throws(RunFailure) {
    try require(of: catalog, for: "spectra need") { $0.order }
    for matrix in catalog.matrices where catalog.kernelPositions(of: matrix) ?? 1 > 1 {
      throw RunFailure(
        .usage,
        "\(catalog.place(of: matrix)): a convolution has a spectrum for each position of its kernel, which factors do not tell: leave "
          + "--factors out, or the convolutions with --no-conv")
    }
  }
}

extension BegunRun {
  /// Compares every byte of stored factors with their record; does nothing if there are none.
  ///
  /// Collective: every rank calls it.
  package func checkContents(of factors: FactorFolder?) throws {
    guard let factors else { return }
    try context.stage("factors") {
      context.sharesEqually()
      try factors.checkContents(on: context.world, context.watch) { context.advanced("factors", to: $0) }
    }
  }
}
