/// The flights of a fetcher, in the order in which they were started. Each holds the next.
struct FlightList {
  private var first: Flight?
  private var last: Flight?

  mutating func append(_ flight: Flight) {
    if let last { last.next = flight } else { first = flight }
    last = flight
  }

  mutating func remove(_ flight: Flight) {
    let before = self.first { $0.next == flight }
    guard before != nil || first == flight else { return }
    if let before { before.next = flight.next } else { first = flight.next }
    if last == flight { last = before }
  }

  func first(where isWanted: (Flight) -> Bool) -> Flight? {
    var next = first
    while let flight = next, !isWanted(flight) { next = flight.next }
    return next
  }

  /// Of those that wait for a place.
  var earliestDeadline: Int64? {
    var earliest: Int64?
    var next = first
    while let flight = next {
      if !flight.isUnderWay { earliest = min(earliest ?? flight.deadline, flight.deadline) }
      next = flight.next
    }
    return earliest
  }
}
