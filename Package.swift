// swift-tools-version: 6.3
// The development build: ordinary Swift, tests, sanitizers. What is shipped comes from CMakeLists.txt.
import PackageDescription

let package = Package(
  name: "Keyturn",
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
      ]),
    .testTarget(name: "KeyturnTests", dependencies: ["Keyturn", "CKeyturn", "CKeyturnAPI", "COpenSSL"]),
  ],
  swiftLanguageModes: [.v6])
