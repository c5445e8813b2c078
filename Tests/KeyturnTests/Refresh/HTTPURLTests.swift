import Testing

@testable import Keyturn

@Suite struct HTTPURLTests {
  private func parts(_ text: String) -> (secure: Bool, host: String, port: Int64, path: String)? {
    withBytes(text) { text in
      HTTPURL(text).map { ($0.isSecure, $0.host.text, $0.port, $0.path.text) }
    }
  }

  @Test(
    arguments: [
      ("https://a.example", true, "a.example", 443, ""),
      ("HTTPS://a.example:8443/x?y=1", true, "a.example", 8_443, "/x?y=1"),
      ("http://127.0.0.1:80", false, "127.0.0.1", 80, ""),
      ("https://[2001:db8::1]:1/x", true, "[2001:db8::1]", 1, "/x"),
      ("https://a.example?q", true, "a.example", 443, "?q"),
    ] as [(String, Bool, String, Int64, String)])
  func isTakenApart(_ text: String, secure: Bool, host: String, port: Int64, path: String) throws {
    let found = try #require(parts(text))
    #expect(found == (secure, host, port, path))
  }

  @Test(arguments: [
    "", "https://", "https:///x", "https:/a", "ftp://a", "//a", "a", "https://a b", "https://a\u{1}",
    "https://a#f",
    "https://u@a", "https://u:p@a/", "https://a\\@b/", "https://a:", "https://a:0", "https://a:65536",
    "https://a:1x",
    "https://a:+1", "https://[::1", "https://[]", "https://[::1]x", "https://[1:2:3:4:5:6:7]",
    "https://[1::2::3]",
    "https://[::1%25eth0]", "https://é", "https://a/é", "https://%61", "https://a:000443",
  ])
  func isNoURL(_ text: String) { #expect(parts(text) == nil) }

  @Test func originsAreCompared() {
    func same(_ one: String, _ other: String) -> Bool {
      withBytes(one) { one in
        withBytes(other) { other in
          guard let one = HTTPURL(one), let other = HTTPURL(other) else { return false }
          return one.hasOrigin(of: other)
        }
      }
    }
    #expect(same("https://a.example/x", "HTTPS://A.example:443/y"))
    #expect(!same("https://a.example/", "https://a.example:444/"))
    #expect(!same("https://a.example/", "http://a.example:443/"))
    #expect(!same("https://a.example/", "https://b.example/"))
  }

  @Test(arguments: [
    "a.example", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1",
    "192.167.0.1",
    "198.17.0.1", "198.20.0.1", "223.255.255.255", "[2001:4860:4860::8888]", "[::ffff:8.8.8.8]", "1.example",
    "notlocalhost", "[64:ff9b::8.8.8.8]",
    "[2002:808:808::1]", "[2001:200::1]", "[2001:db7::1]", "[2001:db9::1]", "[3ffe::1]", "192.0.3.1",
    "198.51.99.1",
    "203.0.112.1",
  ])
  func isPublic(_ host: String) { withBytes(host) { #expect(HostAddress.isPublic($0)) } }

  @Test(arguments: [
    "", ".", "localhost", "LOCALHOST", "a.localhost", "localhost.", "127.0.0.1", "127.1", "127.0.0.1.",
    "0177.0.0.1",
    "2130706433", "0x7f000001", "0x7f.1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "0.0.0.0", "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.0.1", "192.0.0.8",
    "198.18.0.1",
    "198.19.0.1", "224.0.0.1", "255.255.255.255", "[::]", "[::1]", "[fe80::1]", "[fc00::1]", "[fd12::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[64:ff9b::10.0.0.1]", "[::127.0.0.1]",
    "[::ffff:0a00:1]", "[2002:a00:1::1]", "[2002:7f00:1::]", "[2001::8.8.8.8]", "[2001:0:a00:1::1]",
    "[2001:1ff:ffff::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::8.8.8.8]", "[2001:db8::1]", "[3fff::1]",
    "192.0.2.1", "198.51.100.1", "203.0.113.1",
  ])
  func isNotPublic(_ host: String) { withBytes(host) { #expect(!HostAddress.isPublic($0)) } }
}
