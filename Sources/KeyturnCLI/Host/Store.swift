import CKeyturnAPI

/// A store directory, as a gateway opens it.
struct Store {
  let path: String
  var user: String?

  func cache(fetcher: Fetcher? = nil, clock: Clock? = nil) throws(Complaint) -> CacheHandle {
    let texts = Texts()
    do throws(Complaint) {
      return try CacheHandle(fetcher: fetcher, clock: clock) { options in
        options.store = texts.keep(path)
        options.store_user = user.flatMap(texts.keep)
      }
    } catch { throw Complaint("\(path): \(error)") }
  }

  /// The issuer in the store, by its name alone.
  func issuer(named name: String) throws(Complaint) -> IssuerHandle {
    try cache().add(IssuerSettings(.object(["issuer": .text(name)]), at: "options"))
  }
}
