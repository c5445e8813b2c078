import ArgumentParser
import CKeyturnAPI

/// A store directory that running gateways share.
struct StoreArguments: ParsableArguments {
  @Option(help: ArgumentHelp("The store directory of the gateways.", valueName: "directory"))
  var store: String

  @Option(
    help: ArgumentHelp("The user whose files there are believed, beside root and you.", valueName: "name"))
  var storeUser: String?

  var place: Store { Store(path: store, user: storeUser) }
}
