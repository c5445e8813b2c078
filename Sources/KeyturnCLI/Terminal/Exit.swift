import ArgumentParser

/// What a command ends with. docs/cli.md is where users read it.
enum Exit {
  /// It could not be done: a file, a network, a store.
  static let failed = ExitCode(1)
  /// It was done, and the answer is no.
  static let refused = ExitCode(2)
  /// The issuer's keys are not at hand: there is no verdict.
  static let noVerdict = ExitCode(3)
}

extension ParsableCommand {
  /// Tells of what cannot be done in one line, on standard error.
  func orComplain(_ body: () throws -> Void) throws {
    do { try body() } catch let complaint as Complaint {
      Terminal.complain(complaint.description)
      throw Exit.failed
    }
  }
}
