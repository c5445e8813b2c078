import ArgumentParser

/// A length of time on the command line: "90", "90s", "15m", "2h", "1d".
struct Seconds: ExpressibleByArgument {
  let count: Int64

  init(_ count: Int64) { self.count = count }

  init?(argument: String) {
    guard let count = Span.seconds(argument) else { return nil }
    self.count = count
  }

  var defaultValueDescription: String { Span.text(count) }
}
