import CKeyturnAPI

/// Keeps the issuers of a configuration fresh in a store, until it is told to end.
///
/// Everything that fetches and writes is the library's; here is what it is told, and what it tells.
final class Agent {
  private let path: String
  private let cache: CacheHandle
  private var issuers: [String: (handle: IssuerHandle, settings: IssuerSettings)] = [:]

  init(store: String, configuration path: String) throws(Complaint) {
    self.path = path
    let configuration = try Configuration.read(path)
    let texts = Texts()
    do throws(Complaint) {
      cache = try CacheHandle { options in
        options.store = texts.keep(store)
        options.store_agent = 1
      }
    } catch { throw Complaint("\(store): \(error)") }
    for settings in configuration.issuers { try add(settings) }
    try cache.start()
  }

  func run(until signals: Signals) {
    Log.write(.info, "started", ["issuers": String(issuers.count)])
    ServiceManager.ready()
    while true {
      switch signals.next(within: 250) {
      case .reload: reload()
      case .end: return end()
      case nil: break
      }
      cache.logEvents()
    }
  }

  private func end() {
    ServiceManager.stopping()
    cache.stop()
    cache.logEvents()
    Log.write(.info, "ended")
  }

  // MARK: - Configuration

  private func add(_ settings: IssuerSettings) throws(Complaint) {
    do throws(Complaint) {
      issuers[settings.issuer] = (try cache.add(settings), settings)
    } catch { throw Complaint("\(path): issuer \(Log.quoted(settings.issuer)): \(error)") }
  }

  /// Each issuer for itself: a mistake in one leaves that one as it was.
  private func reload() {
    ServiceManager.reloading()
    defer { ServiceManager.ready() }
    do throws(Complaint) {
      let configuration = try Configuration.read(path)
      let wanted = Set(configuration.issuers.map(\.issuer))
      for gone in issuers.keys.filter({ !wanted.contains($0) }) { issuers[gone] = nil }
      for settings in configuration.issuers { change(settings) }
      Log.write(.info, "reloaded", ["issuers": String(issuers.count)])
    } catch {
      Log.write(.error, "configuration is not reloaded", ["reason": error.description])
    }
  }

  private func change(_ settings: IssuerSettings) {
    do throws(Complaint) {
      guard let known = issuers[settings.issuer] else { return try add(settings) }
      guard known.settings != settings else { return }
      try known.handle.update(settings)
      issuers[settings.issuer]?.settings = settings
    } catch {
      Log.write(
        .error, "issuer is not changed", ["issuer": settings.issuer, "reason": error.description])
    }
  }
}
