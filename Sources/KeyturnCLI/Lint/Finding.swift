/// What is wrong with a key set, or with how it is published.
struct Finding: Equatable {
  enum Severity: String, CaseIterable {
    case error
    case warning
    case note
  }

  let severity: Severity
  /// Its name, for those who look for it.
  let rule: String
  /// `keys[2] "a"`, or "" for the whole.
  let place: String
  let sentence: String
  /// Where it is written, or "".
  let source: String

  init(_ severity: Severity, _ rule: String, at place: String = "", _ sentence: String, _ source: String = "")
  {
    (self.severity, self.rule, self.place) = (severity, rule, place)
    (self.sentence, self.source) = (sentence, source)
  }
}
