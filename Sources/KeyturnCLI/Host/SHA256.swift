/// FIPS 180-4, for what is shown instead of a token, and for what two machines are to compare.
enum SHA256 {
  static func hex(_ message: [UInt8]) -> String {
    var state = initial
    var padded = message + [0x80]
    padded += Array(repeating: 0, count: (120 - padded.count % 64) % 64)
    padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - $0 * 8)) }
    for start in stride(from: 0, to: padded.count, by: 64) { mix(padded[start..<start + 64], into: &state) }
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private static func mix(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
    var schedule = stride(from: block.startIndex, to: block.endIndex, by: 4).map { place in
      block[place..<place + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    for place in 16..<64 {
      let (early, late) = (schedule[place - 15], schedule[place - 2])
      let first = turned(early, 7) ^ turned(early, 18) ^ early >> 3
      let second = turned(late, 17) ^ turned(late, 19) ^ late >> 10
      schedule.append(schedule[place - 16] &+ first &+ schedule[place - 7] &+ second)
    }
    var turning = state
    for place in 0..<64 { step(&turning, constants[place] &+ schedule[place]) }
    for place in 0..<8 { state[place] &+= turning[place] }
  }

  private static func step(_ words: inout [UInt32], _ input: UInt32) {
    let (a, e) = (words[0], words[4])
    let choice = e & words[5] ^ ~e & words[6]
    let first = words[7] &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice &+ input
    let majority = a & words[1] ^ a & words[2] ^ words[1] & words[2]
    let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
    words = [first &+ second, a, words[1], words[2], words[3] &+ first, e, words[5], words[6]]
  }

  private static func turned(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }

  private static let primes = (2..<312).filter { number in !(2..<number).contains { number % $0 == 0 } }
  /// The first 32 bits of the fractional parts of the primes' square and cube roots.
  private static let initial = primes.prefix(8).map { fraction(Double($0).squareRoot()) }
  private static let constants = primes.map { fraction(cubeRoot(Double($0))) }

  private static func fraction(_ root: Double) -> UInt32 {
    UInt32((root - root.rounded(.down)) * 4_294_967_296)
  }

  private static func cubeRoot(_ number: Double) -> Double {
    var root = number / 3 + 1
    for _ in 0..<60 { root -= (root * root * root - number) / (3 * root * root) }
    return root
  }
}
