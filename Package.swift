// swift-tools-version: 6.2
import PackageDescription

/// The pkg-config module that brings MPI, ScaLAPACK, LAPACK and BLAS. Clusters whose module has
/// another name set FROG_MPI_PKG_CONFIG before building.
let mpiModule = Context.environment["FROG_MPI_PKG_CONFIG"] ?? "scalapack-openmpi"

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
  name: "frog-mpi",
  products: [
    .executable(name: "frog-mpi", targets: ["frog-mpi"]),
    .library(name: "ShardIO", targets: ["ShardIO"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
  ],
  targets: [
    // C only: libraries behind small inline functions, and the loops that need run-time SIMD dispatch.
    .systemLibrary(
      name: "COpenMPI", pkgConfig: mpiModule,
      providers: [.apt(["libscalapack-openmpi-dev", "libopenblas-dev"])]),
    .systemLibrary(
      name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .target(
      name: "CMPI", dependencies: ["COpenMPI"], cSettings: [.treatAllWarnings(as: .error)],
      linkerSettings: [.linkedLibrary("openblas")]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CKernels", dependencies: ["CXXHash", "CZlib"], cSettings: [.treatAllWarnings(as: .error)]),

    // The product, lowest first; scripts/check-imports holds the same table.
    .target(name: "MPI", dependencies: ["CMPI"], swiftSettings: strict),
    .target(
      name: "ShardIO", dependencies: ["CKernels", systemPackage, .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .target(name: "SpectralQuality", swiftSettings: strict),
    .target(name: "DistSVD", dependencies: ["MPI", "CMPI", "CKernels"], swiftSettings: strict),
    .target(
      name: "RunCore",
      dependencies: ["CKernels", "MPI", "ShardIO", systemPackage, .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .target(
      name: "Weights",
      dependencies: [
        "CKernels", "MPI", "RunCore", "ShardIO", systemPackage, .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .target(
      name: "Planning",
      dependencies: [
        "DistSVD", "MPI", "RunCore", "ShardIO", "Weights", systemPackage,
        .product(name: "HeapModule", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .target(
      name: "Execution",
      dependencies: ["DistSVD", "MPI", "Planning", "RunCore", "ShardIO", "Weights", systemPackage],
      swiftSettings: strict),
    .target(
      name: "FactorCache",
      dependencies: [
        "CKernels", "DistSVD", "Execution", "MPI", "RunCore", "ShardIO", "Weights", systemPackage,
      ],
      swiftSettings: strict),
    .target(
      name: "Spectra",
      dependencies: [
        "CKernels", "DistSVD", "Execution", "FactorCache", "MPI", "Planning", "RunCore", "ShardIO", "SpectralQuality",
        "Weights",
        systemPackage,
      ],
      swiftSettings: strict),
    .target(
      name: "Comparison",
      dependencies: [
        "DistSVD", "Execution", "MPI", "Planning", "RunCore", "ShardIO", "SpectralQuality", "Spectra", "Weights",
        systemPackage,
      ],
      swiftSettings: strict),
    .target(
      name: "FROGDist",
      dependencies: [
        "CKernels", "DistSVD", "Execution", "FactorCache", "MPI", "Planning", "RunCore", "ShardIO", "SpectralQuality",
        "Spectra", "Weights", systemPackage, .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .target(
      name: "Adapters",
      dependencies: [
        "CKernels", "DistSVD", "Execution", "FactorCache", "MPI", "Planning", "RunCore", "ShardIO", "SpectralQuality",
        "Spectra", "Weights", systemPackage,
      ],
      swiftSettings: strict),
    .target(
      name: "Calibration",
      dependencies: [
        "DistSVD", "Execution", "FROGDist", "MPI", "Planning", "RunCore", "ShardIO", systemPackage,
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "frog-mpi",
      dependencies: [
        "Adapters", "Calibration", "Comparison", "DistSVD", "Execution", "FROGDist", "FactorCache", "MPI",
        "Planning", "RunCore", "ShardIO", "SpectralQuality", "Spectra", "Weights", systemPackage,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),

    // Tests. What needs several ranks is an executable for mpirun; Tests/Python reads the outputs as others would.
    .target(
      name: "TestSupport", dependencies: ["DistSVD", "ShardIO", "Weights", systemPackage], path: "Tests/TestSupport",
      swiftSettings: strict),
    .executableTarget(
      name: "rank-checks", dependencies: ["DistSVD", "MPI", "TestSupport"], path: "Tests/RankChecks",
      swiftSettings: strict),
    .executableTarget(
      name: "example-command", dependencies: ["Execution", "MPI", "Planning", "RunCore", "Weights", systemPackage],
      path: "Tests/ExampleCommand", swiftSettings: strict),
    .testTarget(name: "MPITests", dependencies: ["MPI"], swiftSettings: strict),
    .testTarget(name: "ShardIOTests", dependencies: ["ShardIO", "TestSupport", systemPackage], swiftSettings: strict),
    .testTarget(name: "SpectralQualityTests", dependencies: ["SpectralQuality"], swiftSettings: strict),
    .testTarget(name: "DistSVDTests", dependencies: ["DistSVD", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "RunCoreTests", dependencies: ["MPI", "RunCore", "ShardIO", systemPackage], swiftSettings: strict),
    .testTarget(
      name: "WeightsTests", dependencies: ["CKernels", "RunCore", "ShardIO", "TestSupport", "Weights", systemPackage],
      swiftSettings: strict),
    .testTarget(
      name: "SpectraTests", dependencies: ["ShardIO", "Spectra", "TestSupport", "Weights"], swiftSettings: strict),
    .testTarget(
      name: "PlanningTests",
      dependencies: [
        "Comparison", "DistSVD", "FROGDist", "Planning", "RunCore", "ShardIO", "Spectra", "TestSupport", "Weights",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ExecutionTests", dependencies: ["DistSVD", "Execution", "ShardIO", "Weights", systemPackage],
      swiftSettings: strict),
    .testTarget(
      name: "ComparisonTests",
      dependencies: [
        "Comparison", "Execution", "RunCore", "ShardIO", "SpectralQuality", "Spectra", "TestSupport", "Weights",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "FROGDistTests",
      dependencies: [
        "CKernels", "Comparison", "DistSVD", "Execution", "FROGDist", "RunCore", "ShardIO", "SpectralQuality",
        "Spectra", "TestSupport", "Weights", systemPackage,
      ],
      swiftSettings: strict),
    .testTarget(
      name: "AdaptersTests", dependencies: ["Adapters", "RunCore", "TestSupport", "Weights"],
      swiftSettings: strict),
    .testTarget(
      name: "FrogMPITests",
      dependencies: ["frog-mpi", "RunCore", .product(name: "Logging", package: "swift-log")], swiftSettings: strict),
    .testTarget(
      name: "CalibrationTests",
      dependencies: ["Calibration", "DistSVD", "Planning", "RunCore", "ShardIO", systemPackage],
      swiftSettings: strict),
  ]
)
