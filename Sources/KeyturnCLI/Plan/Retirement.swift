/// When an old key may go whose successor signs already: when the last of its tokens that gateways have accepted is over, if
/// each of them has counted all; else when the longest that it may have signed is.
struct Retirement {
  struct Gateway {
    /// Where its metrics are from.
    let path: String
    let uses: GatewayMetrics.KeyUses
  }

  let kid: String
  let gateways: [Gateway]
  let rotation: Rotation
  /// Since when the old key signs no more, and now, in Unix seconds.
  let start: Int64
  let now: Int64

  /// Whether the gateways' figure is one to go by.
  var isCounted: Bool { gateways.allSatisfy { $0.uses.gap == nil } && !isEndless }

  private var latest: Int64 { gateways.map(\.uses.latestExpiry).max() ?? 0 }
  private var isEndless: Bool { !Moment.isMeant(latest) }

  /// From then on no token that is known of is alive.
  private var over: Int64 { latest + rotation.inputs.leeway + rotation.inputs.skew }

  /// Unix seconds.
  var moment: Int64 {
    max(now, isCounted ? over : start + rotation.inputs.propagation + rotation.drain)
  }

  var steps: [Rotation.Step] { rotation.steps(retiring: moment - start, why: why) }

  private var why: String {
    guard isCounted else { return rotation.lifetimeOver }
    guard latest > 0 else { return "no gateway has accepted a JWT of the old key" }
    return "no token of the old key that a gateway has accepted is alive then: "
      + "latest exp \(Moment.text(latest)) + leeway \(Span.text(rotation.inputs.leeway)) "
      + "+ skew \(Span.text(rotation.inputs.skew))"
  }

  // MARK: - What is to be known

  /// A token that was accepted outlives the plan.
  var dangers: [String] {
    if isEndless {
      return ["a token of the old key that a gateway has accepted has no exp: it is never over"]
    }
    guard over > moment else { return [] }
    return [
      "a token of the old key that a gateway has accepted lives until \(Moment.text(latest)): see --token-lifetime"
    ]
  }

  var warnings: [String] {
    isCounted
      ? ["a token of the old key that nobody has shown yet is in no metrics: take them when it signs no more"]
      : gateways.compactMap { gateway in
        gateway.uses.gap.map {
          "by the token lifetime, since \(Terminal.safe(gateway.path)) says too little: \($0)"
        }
      }
  }

  var json: JSON {
    .object([
      "kid": .text(kid), "at": .text(Moment.text(moment)),
      "by": .text(isCounted ? "metrics" : "token lifetime"),
      "gateways": .list(
        gateways.map { gateway in
          .object([
            "metrics": .text(gateway.path), "gapless": .flag(gateway.uses.gap == nil),
            "latest_exp": .number(gateway.uses.latestExpiry), "why_not": JSON(gateway.uses.gap),
          ])
        }),
    ])
  }
}
