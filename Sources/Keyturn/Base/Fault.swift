/// A failed control call: its status, and what to tell the person who made it.
/// Only static texts and numbers, so that nothing of a document or a token can get into a message.
struct Fault: Error {
  let status: Status
  /// The option or argument at fault: "leeway_s", or with `index` and `member` "rules[2].claim".
  let option: StaticString
  let index: Int?
  let member: StaticString
  /// What was wrong and what to do, in one sentence.
  let sentence: StaticString
  /// Where in a document, from 1; 0 where there is none.
  let line: Int

  init(
    _ status: Status, _ sentence: StaticString, option: StaticString = "", index: Int? = nil,
    member: StaticString = "", line: Int = 0
  ) {
    self.status = status
    self.option = option
    self.index = index
    self.member = member
    self.sentence = sentence
    self.line = line
  }

  static var noRandomness: Fault {
    Fault(.cryptoFailure, "The system gives no random numbers; nothing was changed.")
  }

  static var removed: Fault { Fault(.removed, "The issuer was removed from its cache.") }

  static var forked: Fault {
    Fault(.forked, "The cache was started before a fork: start it in this process too.")
  }

  static var noThread: Fault {
    Fault(.noThread, "The system gives no thread or no descriptor; nothing was started.")
  }

  static var full: Fault {
    Fault(
      .full, "There are as many revocations as there may be; nothing was changed.", option: "max_revocations")
  }

  /// Carries out what fails for want of memory or randomness, or because there is nothing that it could change.
  static func of<Made: ~Copyable>(_ make: () throws(Status) -> Made) throws(Fault) -> Made {
    do throws(Status) { return try make() } catch { throw Fault(error) }
  }

  /// What a status means where nothing else could have failed.
  init(_ status: Status) {
    switch status {
    case .cryptoFailure: self = .noRandomness
    case .removed: self = .removed
    case .full: self = .full
    case .notFound: self = .notFound
    default: self = .noMemory
    }
  }

  static var notFound: Fault {
    Fault(.notFound, "Nothing of this kind and value is revoked.", option: "value")
  }

  static var noMemory: Fault {
    Fault(.noMemory, "There is no memory left; nothing was changed.")
  }
}
