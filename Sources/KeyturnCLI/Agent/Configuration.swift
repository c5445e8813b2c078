/// What an agent is to do, as its file says it.
struct Configuration {
  let issuers: [IssuerSettings]

  static func read(_ path: String) throws(Complaint) -> Configuration {
    do throws(Complaint) { return try Configuration(JSON.read(path)) } catch {
      let sentence = error.description
      throw Complaint(sentence.hasPrefix(path) ? sentence : "\(path): \(sentence)")
    }
  }

  private init(_ document: JSON) throws(Complaint) {
    guard case .object(let members) = document else { throw Complaint("not an object") }
    for name in members.keys.sorted() where name != "issuers" {
      throw Complaint("\(name): no such option; there is \"issuers\"")
    }
    guard case .list(let values) = members["issuers"], !values.isEmpty else {
      throw Complaint("issuers: required: a list of objects, one at least")
    }
    var issuers: [IssuerSettings] = []
    for (place, value) in values.enumerated() {
      let settings = try IssuerSettings(value, at: "issuers[\(place)]")
      guard !issuers.contains(where: { $0.issuer == settings.issuer }) else {
        throw Complaint("issuers[\(place)].issuer: there is another one of this name before it")
      }
      issuers.append(settings)
    }
    self.issuers = issuers
  }
}
