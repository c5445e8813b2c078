/// A rehearsal as a page that needs no network, no script and no colour: the picture, and below it the same in words.
struct RehearsalPage {
  private let report: RehearsalReport
  private let scenario: Scenario

  init(_ report: RehearsalReport) {
    self.report = report
    scenario = report.rehearsal.scenario
  }

  var html: String {
    let title = Markup.text(scenario.title.isEmpty ? "A rehearsal" : scenario.title)
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <title>\(title)</title>
      <style>\(RehearsalPage.style)</style>
      </head>
      <body>
      <h1>\(title)</h1>
      <p class="verdict\(report.rehearsal.isSafe ? "" : " bad")">\(Markup.text(report.verdict))</p>
      \(RehearsalChart(report).svg)
      <h2>In words</h2>
      <pre>\(Markup.text(report.lines.dropLast(2).joined(separator: "\n"), keepsLines: true))</pre>
      <h2>Steps</h2>
      <table>
      <tr><th>at</th><th>step</th></tr>
      \(scenario.steps.map(row).joined(separator: "\n"))
      </table>
      </body>
      </html>
      """
  }

  private func row(_ step: Scenario.Step) -> String {
    "<tr><td>+ \(Span.exact(step.at))</td><td>\(Markup.text(step.words(scenario)))</td></tr>"
  }

  private static let style = """
    body { font: 16px/1.45 system-ui, sans-serif; color: #000; background: #fff; max-width: 1040px; margin: 2em auto; padding: 0 1em }
    h1 { font-size: 1.5em; margin: 0 0 .4em } h2 { font-size: 1.1em; margin: 1.6em 0 .4em }
    .verdict { border: 2px solid #000; padding: .4em .8em; display: inline-block; margin: 0 0 1em }
    .bad { background: #000; color: #fff; font-weight: bold }
    svg { width: 100%; height: auto; display: block }
    pre { font: 13px/1.5 ui-monospace, monospace; overflow-x: auto; border-left: 3px solid #999; padding-left: 1em }
    table { border-collapse: collapse } td, th { text-align: left; padding: .15em 1.5em .15em 0; border-bottom: 1px solid #ccc }
    @media print { body { margin: 0 } }
    """
}

extension Scenario.Step {
  func words(_ scenario: Scenario) -> String {
    let name = scenario.keys[key]
    return switch act {
    case .publish: "publish \(name)"
    case .sign: "sign with \(name)"
    case .retire: "retire \(name)"
    case .gone: "\(name) is to be gone"
    }
  }
}

/// Text for HTML and SVG.
enum Markup {
  static func text(_ text: String, keepsLines: Bool = false) -> String {
    let safe =
      keepsLines
      ? text.split(separator: "\n", omittingEmptySubsequences: false).map { Terminal.safe(String($0)) }
        .joined(separator: "\n") : Terminal.safe(text)
    return safe.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  /// Tenths of a unit are as fine as anybody sees.
  static func number(_ value: Double) -> String {
    let tenths = Int64((value * 10).rounded())
    return tenths % 10 == 0
      ? String(tenths / 10) : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
  }
}
