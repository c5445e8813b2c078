import ArgumentParser
import Foundation

/// The token, which is the user's own.
struct TokenArguments: ParsableArguments {
  @Argument(
    help:
      "The token. Other users of this machine can see it there: rather leave it out, and give it by standard input."
  )
  var token: String?

  @Option(
    help: ArgumentHelp("A file with the token; - is standard input, which is the default.", valueName: "path")
  )
  var tokenFile: String?

  func validate() throws {
    guard token == nil || tokenFile == nil else { throw ValidationError("There are two tokens.") }
  }

  /// Its octets, whatever they are, without what an editor or `Authorization` puts around them.
  func read() throws(Complaint) -> [UInt8] {
    if let token { return TokenArguments.bare(Array(token.utf8)) }
    return try TokenArguments.read(tokenFile ?? "-")
  }

  static func read(_ path: String) throws(Complaint) -> [UInt8] { bare(Array(try File.read(path))) }

  private static func bare(_ found: [UInt8]) -> [UInt8] {
    let start = found.drop(while: isSpace)
    let bare = start.starts(with: "Bearer ".utf8) ? start.dropFirst(7) : start
    let end = bare.lastIndex { !isSpace($0) }
    return Array(bare[..<(end.map { $0 + 1 } ?? bare.startIndex)])
  }

  private static func isSpace(_ octet: UInt8) -> Bool { [9, 10, 13, 32].contains(octet) }
}
