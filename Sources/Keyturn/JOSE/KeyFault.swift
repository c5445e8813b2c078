/// Why a key of an accepted set is left out. The numbers are those of `jwks_key_fault` in keyturn.h, whose
/// comments say what each means.
enum KeyFault: UInt32, Error {
  case usable = 0
  case notAnObject = 1
  case unknownType = 2
  case unknownCurve = 3
  case unknownAlgorithm = 4
  case algorithmMismatch = 5
  case notAllowed = 6
  case otherUse = 7
  case badMember = 8
  case tooWeak = 9
  case tooLarge = 10
  case badValue = 11
  case isPrivate = 12
  case symmetric = 13
  case notOffered = 14
  case repeated = 15
  case notPinned = 16
}

/// Which `use` a key must have, if it has one (RFC 7517 section 4.2).
enum KeyUse: UInt32 {
  /// "sig", or no `use`.
  case sig = 0
  /// "jwt-svid", and no other: a SPIFFE bundle (SPIFFE Trust Domain and Bundle, section 4.2.2).
  case jwtSVID = 1
}

/// What a source's keys must be.
struct KeyRules {
  var issuerAlgorithms: AlgorithmSet
  var use: KeyUse
  /// The source holds `oct` keys and nothing else; otherwise it holds none.
  var symmetric: Bool
  var maxKeys: Int
  /// Thumbprints of the only keys that may be used; none for any.
  var pins = Items<Bytes>.none

  func allow(_ thumbprint: Bytes) -> Bool {
    for place in pins.count.times {
      if let pin = pins.item(at: place), pin == thumbprint { return true }
    }
    return pins.count == 0
  }

  func areSame(as other: KeyRules) -> Bool {
    issuerAlgorithms == other.issuerAlgorithms && use == other.use && symmetric == other.symmetric
      && maxKeys == other.maxKeys && pins.holdSame(as: other.pins)
  }
}
