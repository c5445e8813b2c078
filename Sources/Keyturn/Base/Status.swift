/// Why a call did not succeed. The numbers are those of `jwt_status` in keyturn.h, whose comments say
/// what each means; a test holds the two lists against each other.
enum Status: UInt32, Error {
  case malformed = 100
  case tooLarge = 101
  case badBase64 = 102
  case badJSON = 103
  case duplicateMember = 104
  case limitExceeded = 105
  case badHeader = 106
  case criticalHeader = 107
  case encrypted = 108
  case missing = 109

  case algorithmNotAllowed = 200
  case keyNotFound = 201
  case keyMismatch = 202
  case badSignature = 203
  case keyRevoked = 204

  case claimMissing = 300
  case claimType = 301
  case issuerUnknown = 302
  case audienceMismatch = 303
  case expired = 304
  case notYetValid = 305
  case issuedInFuture = 306
  case lifetimeTooLong = 307
  case typeMismatch = 308
  case confirmationRequired = 309
  case confirmationMismatch = 310
  case revoked = 311

  case ruleFailed = 400

  case keysUnavailable = 500
  case pending = 501

  case invalidArgument = 900
  case invalidOption = 901
  case invalidDocument = 902
  case noMemory = 903
  case busy = 904
  case cryptoFailure = 905
  case removed = 906
  case full = 907
  case notFound = 908
  case noFetcher = 909
  case throttled = 910
  case forked = 911
  case retry = 912
  case notDurable = 913
  case noThread = 915
}
