// swift-tools-version: 6.3
// The development build: ordinary Swift, tests, sanitizers. What is shipped comes from CMakeLists.txt.
import PackageDescription

let package = Package(
  name: "Keyturn",
  products: [.executable(name: "keyturn", targets: ["KeyturnCLI"])],
  dependencies: [
    // Command lines: parsing, help, completion.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    // Scenarios are YAML, as people write them: libyaml reads it, and knows the line of each value.
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
    .systemLibrary(name: "CKeyturnAPI", path: "include"),
    .target(name: "CKeyturn", cSettings: [.define("KEYTURN_FAULTS", .when(configuration: .debug))]),
    .target(
      name: "Keyturn", dependencies: ["CKeyturn", "CKeyturnAPI", "COpenSSL", "CJansson"],
      exclude: ["keyturn.map"],
      swiftSettings: [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .strictMemorySafety(),
        .treatAllWarnings(as: .error),
        // `keyturn rehearse` runs the refresh state itself; of what is shipped as a library nothing is built here.
        .unsafeFlags(["-enable-testing"], .when(configuration: .release)),
      ]),
    .executableTarget(
      name: "KeyturnCLI",
      dependencies: [
        "Keyturn", "CKeyturnAPI", "COpenSSL",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Yams", package: "Yams"),
      ],
      exclude: ["systemd"]),
    .testTarget(name: "KeyturnTests", dependencies: ["Keyturn", "CKeyturn", "CKeyturnAPI", "COpenSSL"]),
    .testTarget(name: "KeyturnCLITests", dependencies: ["KeyturnCLI"]),
  ],
  swiftLanguageModes: [.v6])
