/// Four strips above one axis of time: the keys, who trusts them, what is refused, and how often the issuer is asked. What
/// differs, differs by its pattern or its dashes.
struct RehearsalChart {
  private let report: RehearsalReport
  private let scenario: Scenario
  private let buckets: Int
  private let marks: [Mark]

  private static let width = 1_000.0
  private static let left = 120.0
  private static let right = 985.0
  private static let gap = 46.0
  private static let keyHeight = 34.0
  private static let curveHeight = 120.0
  private static let dashes = ["", "7 4", "2 3", "10 3 2 3", "1 5", "14 4"]

  init(_ report: RehearsalReport) {
    self.report = report
    scenario = report.rehearsal.scenario
    buckets = report.load.count
    let scenario = report.rehearsal.scenario
    marks = RehearsalChart.marks(scenario) { RehearsalChart.x($0, scenario) }
  }

  private var top: Double { 47 + 15 * Double((marks.map(\.row).max() ?? -1) + 1) }

  var svg: String {
    var strips = Strips(top: top)
    let keys = strips.next(RehearsalChart.keyHeight * Double(scenario.keys.count))
    let trust = strips.next(RehearsalChart.curveHeight)
    let refused = strips.next(RehearsalChart.curveHeight * 0.75)
    let load = strips.next(RehearsalChart.curveHeight)
    let bottom = load.bottom
    let parts = [
      RehearsalChart.patterns, troubles(bottom), axis(bottom), keyStrip(keys), trustStrip(trust),
      curve(
        refused, "good tokens refused, each \(Span.exact(report.bucket))",
        report.refusedCourse.map(Double.init),
        none: "none"),
      curve(load, "requests at the issuer, busiest second", report.load.map(Double.init), none: "none"),
      stepMarks(bottom),
    ]
    return """
      <svg viewBox="0 0 \(Markup.number(RehearsalChart.width)) \(Markup.number(bottom + 40))" role="img" \
      font-family="system-ui, sans-serif" font-size="13">
      <title>\(Markup.text(report.verdict))</title>
      \(parts.joined(separator: "\n"))
      </svg>
      """
  }

  /// What is done at one time, and where there is room to say it.
  private struct Mark {
    let x: Double
    let words: String
    let isLeft: Bool
    let row: Int
  }

  private static func marks(_ scenario: Scenario, _ place: (Int64) -> Double) -> [Mark] {
    let acts = Dictionary(grouping: scenario.steps, by: \.at).sorted { $0.key < $1.key }
    var ends: [Double] = []
    return acts.map { time, steps in
      let words = steps.map { $0.words(scenario) }.joined(separator: ", ")
      let width = Double(words.count) * 6.2 + 10
      let isLeft = place(time) + width > RehearsalChart.width
      let start = isLeft ? place(time) - width : place(time)
      let row = ends.firstIndex { $0 <= start } ?? ends.count
      if row == ends.count { ends.append(0) }
      ends[row] = start + width
      return Mark(x: place(time), words: words, isLeft: isLeft, row: row)
    }
  }

  private struct Strip {
    let top: Double
    let bottom: Double
  }

  private struct Strips {
    var top: Double

    mutating func next(_ height: Double) -> Strip {
      defer { top += height + RehearsalChart.gap }
      return Strip(top: top, bottom: top + height)
    }
  }

  private static let patterns = """
    <defs>
    <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
    <rect width="6" height="6" fill="#fff"/><rect width="2" height="6" fill="#777"/></pattern>
    <pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse">
    <rect width="6" height="6" fill="#fff"/><circle cx="3" cy="3" r="1.1" fill="#888"/></pattern>
    </defs>
    """

  // MARK: - Places

  private func x(_ time: Int64) -> Double { RehearsalChart.x(time, scenario) }

  private static func x(_ time: Int64, _ scenario: Scenario) -> Double {
    let share = Double(max(0, min(time, scenario.duration))) / Double(scenario.duration)
    return left + share * (right - left)
  }

  private func x(bucket: Int) -> Double {
    RehearsalChart.left + Double(bucket) / Double(buckets) * (RehearsalChart.right - RehearsalChart.left)
  }

  // MARK: - Behind everything

  private func troubles(_ bottom: Double) -> String {
    let outages = scenario.outages.map { band($0.from, $0.to, "dots", "outage: \(name($0.place))", bottom) }
    let attacks = scenario.attacks.map { band($0.from, $0.to, "hatch", "random kids", bottom, isThin: true) }
    return (outages + attacks).joined(separator: "\n")
  }

  private func name(_ place: Scenario.Place) -> String {
    switch place {
    case .issuer: "issuer"
    case .cache(let cache): scenario.caches[cache].name
    case .group(let group): scenario.groups[group].name
    }
  }

  /// An outage through all strips; an attack below them.
  private func band(
    _ from: Int64, _ to: Int64, _ pattern: String, _ label: String, _ bottom: Double, isThin: Bool = false
  ) -> String {
    let (left, right) = (x(from), x(to))
    let top = isThin ? bottom - 6 : self.top - 4
    let text = RehearsalChart.label(min(left, RehearsalChart.right - 120), bottom + 33, label, size: 11)
    return """
      <rect x="\(Markup.number(left))" y="\(Markup.number(top))" width="\(Markup.number(max(1, right - left)))" \
      height="\(Markup.number(bottom - top))" fill="url(#\(pattern))"\(isThin ? " stroke=\"#000\" stroke-width=\".5\"" : " opacity=\".6\"")/>
      \(text)
      """
  }

  private func axis(_ bottom: Double) -> String {
    let steps: [Int64] = [
      1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
      172_800,
      604_800,
    ]
    let step = (steps.first { scenario.duration / ($0 * 1_000) <= 10 } ?? 604_800) * 1_000
    let ticks = stride(from: 0, through: scenario.duration, by: Int64.Stride(step)).map { time in
      let place = Markup.number(x(time))
      return """
        <line x1="\(place)" x2="\(place)" y1="\(Markup.number(bottom))" y2="\(Markup.number(bottom + 5))" stroke="#000"/>
        \(RehearsalChart.label(x(time), bottom + 18, Span.exact(time), anchor: "middle", size: 11))
        """
    }
    return RehearsalChart.line(RehearsalChart.left, bottom, RehearsalChart.right, bottom)
      + ticks.joined(separator: "\n")
  }

  /// Above all strips, in as many rows as they need.
  private func stepMarks(_ bottom: Double) -> String {
    marks.map { mark in
      let height = 14 + 15 * Double(mark.row)
      return """
        <line x1="\(Markup.number(mark.x))" x2="\(Markup.number(mark.x))" y1="\(Markup.number(height - 8))" \
        y2="\(Markup.number(bottom))" stroke="#000" stroke-width=".7" stroke-dasharray="1 3"/>
        \(RehearsalChart.label(mark.x + (mark.isLeft ? -4 : 4), height, mark.words, anchor: mark.isLeft ? "end" : "start", size: 11))
        """
    }.joined(separator: "\n")
  }

  // MARK: - Strips

  private func keyStrip(_ strip: Strip) -> String {
    let rows = scenario.keys.enumerated().map { place, name in
      keyRow(place, name, strip.top + RehearsalChart.keyHeight * Double(place))
    }
    return heading(
      strip, "keys: outlined while published, black while signing, hatched until it is to be gone")
      + rows.joined(separator: "\n")
  }

  private func keyRow(_ key: Int, _ name: String, _ top: Double) -> String {
    let label = RehearsalChart.label(
      RehearsalChart.left - 8, top + 20, RehearsalChart.short(name), anchor: "end")
    let published = spans(key, .publish, .retire, isOpen: key < scenario.published).map {
      bar($0, top + 6, 20, "fill=\"#fff\" stroke=\"#000\"")
    }
    let signing = signingSpans(key).map { bar($0, top + 11, 10, "fill=\"#000\"") }
    let leaving = spans(key, .retire, .gone, isOpen: false).map {
      bar($0, top + 6, 20, "fill=\"url(#hatch)\" stroke=\"#000\" stroke-width=\".5\"")
    }
    return ([label] + published + signing + leaving).joined(separator: "\n")
  }

  private func spans(
    _ key: Int, _ opens: Scenario.Step.Act, _ closes: Scenario.Step.Act, isOpen: Bool
  ) -> [(Int64, Int64)] {
    var found: [(Int64, Int64)] = []
    var start: Int64? = isOpen ? 0 : nil
    for step in scenario.steps where step.key == key {
      if step.act == opens { start = start ?? step.at }
      if step.act == closes || step.act == .publish && opens == .retire, let from = start {
        found.append((from, step.at))
        start = nil
      }
    }
    // What is retired, and of which nobody says when it is to be gone, is to be so at once.
    if let start, opens != .retire { found.append((start, scenario.duration)) }
    return found
  }

  private func signingSpans(_ key: Int) -> [(Int64, Int64)] {
    let signs =
      [(at: Int64(0), key: 0)] + scenario.steps.filter { $0.act == .sign }.map { (at: $0.at, key: $0.key) }
    let ends = signs.dropFirst().map(\.at) + [scenario.duration]
    return zip(signs, ends).filter { $0.0.key == key && $0.1 > $0.0.at }.map { ($0.0.at, $0.1) }
  }

  private func bar(_ span: (Int64, Int64), _ top: Double, _ height: Double, _ look: String) -> String {
    """
    <rect x="\(Markup.number(x(span.0)))" y="\(Markup.number(top))" \
    width="\(Markup.number(max(1, x(span.1) - x(span.0))))" height="\(Markup.number(height))" \(look)/>
    """
  }

  private func trustStrip(_ strip: Strip) -> String {
    let all = Double(max(1, report.verifiers))
    let lines = scenario.keys.indices.map { key in
      steps(strip, report.trusting(key).map { Double($0) / all }, key)
    }
    var place = RehearsalChart.left + 170
    let legend = scenario.keys.enumerated().map { key, name in
      defer { place += 60 + 7 * Double(RehearsalChart.short(name).count) }
      return RehearsalChart.line(place, strip.top - 13, place + 32, strip.top - 13, width: 2, dash: dash(key))
        + RehearsalChart.label(place + 38, strip.top - 9, RehearsalChart.short(name))
    }
    return heading(strip, "verifiers that trust") + scale(strip, "100 %")
      + (lines + legend).joined(separator: "\n")
  }

  private func dash(_ key: Int) -> String { RehearsalChart.dashes[key % RehearsalChart.dashes.count] }

  /// A line that stays level until it changes.
  private func steps(_ strip: Strip, _ shares: [Double], _ key: Int) -> String {
    var points: [String] = []
    var before: Double?
    for (place, share) in shares.enumerated() {
      let height = strip.bottom - share * (strip.bottom - strip.top)
      if let before, before != height {
        points.append("\(Markup.number(x(bucket: place))),\(Markup.number(before))")
      }
      if before != height { points.append("\(Markup.number(x(bucket: place))),\(Markup.number(height))") }
      before = height
    }
    points.append("\(Markup.number(RehearsalChart.right)),\(Markup.number(before ?? strip.bottom))")
    return """
      <polyline points="\(points.joined(separator: " "))" fill="none" stroke="#000" stroke-width="2" \
      stroke-dasharray="\(dash(key))"/>
      """
  }

  private func curve(_ strip: Strip, _ name: String, _ values: [Double], none: String) -> String {
    let most = values.max() ?? 0
    let middle = (strip.top + strip.bottom) / 2
    guard most > 0 else {
      return heading(strip, name) + scale(strip, "")
        + RehearsalChart.label(
          (RehearsalChart.left + RehearsalChart.right) / 2, middle, none, anchor: "middle")
    }
    let bars = values.enumerated().filter { $0.element > 0 }.map { place, value in
      let height = max(0.7, value / most * (strip.bottom - strip.top))
      return "M\(Markup.number(x(bucket: place))),\(Markup.number(strip.bottom))v\(Markup.number(-height))"
    }
    let width = max(1, (RehearsalChart.right - RehearsalChart.left) / Double(buckets))
    return heading(strip, name) + scale(strip, RehearsalReport.grouped(Int64(most.rounded())))
      + "<path d=\"\(bars.joined())\" stroke=\"#333\" stroke-width=\"\(Markup.number(width + 0.1))\" fill=\"none\"/>"
  }

  private func heading(_ strip: Strip, _ text: String) -> String {
    RehearsalChart.label(RehearsalChart.left, strip.top - 9, text, weight: "bold")
  }

  private func scale(_ strip: Strip, _ most: String) -> String {
    RehearsalChart.line(RehearsalChart.left, strip.bottom, RehearsalChart.right, strip.bottom)
      + RehearsalChart.line(
        RehearsalChart.left, strip.top, RehearsalChart.right, strip.top, width: 0.5, dash: "1 2")
      + RehearsalChart.label(RehearsalChart.left - 8, strip.top + 4, most, anchor: "end")
      + RehearsalChart.label(RehearsalChart.left - 8, strip.bottom + 4, "0", anchor: "end")
  }

  // MARK: - Parts

  private static func short(_ name: String) -> String { name.count > 14 ? name.prefix(13) + "…" : name }

  private static func label(
    _ x: Double, _ y: Double, _ text: String, anchor: String = "start", size: Int = 13,
    weight: String = "normal"
  ) -> String {
    """
    <text x="\(Markup.number(x))" y="\(Markup.number(y))" text-anchor="\(anchor)" font-size="\(size)" \
    font-weight="\(weight)" paint-order="stroke" stroke="#fff" stroke-width="3">\(Markup.text(text))</text>
    """
  }

  private static func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, width: Double = 1, dash: String = ""
  ) -> String {
    """
    <line x1="\(Markup.number(x1))" y1="\(Markup.number(y1))" x2="\(Markup.number(x2))" y2="\(Markup.number(y2))" \
    stroke="#000" stroke-width="\(Markup.number(width))" stroke-dasharray="\(dash)"/>
    """
  }
}
