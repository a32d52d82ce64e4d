// swift-tools-version: 6.2
import PackageDescription

// A package of its own: it is built with a sanitizer's flags, which the program must never see.
// scripts/fuzz builds and runs it.

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let shardIO: Target.Dependency = .product(name: "ShardIO", package: "frog-mpi")

let package = Package(
  name: "Fuzz",
  dependencies: [
    .package(name: "frog-mpi", path: ".."),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
  ],
  targets: [
    .executableTarget(name: "fuzz", dependencies: [shardIO], swiftSettings: strict),
    .executableTarget(
      name: "judge", dependencies: [shardIO, .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict),
  ]
)
