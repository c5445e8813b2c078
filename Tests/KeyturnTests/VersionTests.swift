import CKeyturnAPI
import Testing

@testable import Keyturn

@Test func versionMacroAndFunctionAgree() {
  #expect(String(cString: keyturn_version()) == KEYTURN_VERSION)
  #expect(keyturn_version_number() == KEYTURN_VERSION_NUMBER)
}
