/// The audiences of a policy (RFC 7519 section 4.1.3).
struct Audience {
  let accepted: Items<Bytes>
  let index: HashIndex
  /// aud is not held against anything.
  let any: Bool

  /// A string, or an array of nothing but strings, of which one is enough.
  func check(_ aud: JSONValue?, shadow: JSONShadow) throws(Status) {
    guard let aud else {
      guard any else { throw .claimMissing }
      return
    }
    guard try names(aud, shadow) || any else { throw .audienceMismatch }
  }

  private func names(_ aud: JSONValue, _ shadow: JSONShadow) throws(Status) -> Bool {
    if let string = aud.string { return accepts(shadow.plain(string)) }
    guard aud.kind == .array else { throw .claimType }
    var found = false
    var elements = aud.elements()
    while let element = elements.next() {
      guard let string = element.string else { throw .claimType }
      found = found || accepts(shadow.plain(string))
    }
    return found
  }

  private func accepts(_ name: Bytes) -> Bool {
    var found = false
    index.forEach(name) { place in
      if let wanted = accepted.item(at: place), wanted == name { found = true }
    }
    return found
  }
}
