"""One table of options, in C, in docs/ and in each host."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "examples/adapter/options.c").read_text()
PAGE = (ROOT / "docs/options.md").read_text()
DIRECTIVES = (ROOT / "examples/nginx/settings.c").read_text()
APACHES = (ROOT / "examples/apache/settings.c").read_text()


def options():
    """Struct, name and default of each, as options.c has them."""
    table = SOURCE[SOURCE.index("ADAPTER_OPTIONS[] = {"):SOURCE.index("adapter_option_named")]
    found = []
    for line in re.sub(r"\s*\n\s{6,}", " ", table).splitlines():
        if match := re.match(r'\s+CHALLENGE\((\w+)\)', line):
            found.append(("challenge", match[1], "none"))
        elif match := re.match(r'\s+(CACHE|ISSUER|POLICY)(?:_\w+)?\((\w+), .*"(.*)"\),', line):
            found.append((match[1].lower(), match[2], match[3]))
        elif match := re.match(r'\s+\{ "(\w+)", ADAPTER_(\w+), .*"(.*)" \},', line):
            found.append((match[2].lower(), match[1], match[3]))
    return found


class Options(unittest.TestCase):
    def test_all_are_read(self):
        self.assertEqual(len(options()), len(re.findall(r"^ {4}(?:CACHE|ISSUER|POLICY|CHALLENGE|\{ \")", SOURCE[
            SOURCE.index("ADAPTER_OPTIONS[] = {"):], re.M)))
        self.assertGreater(len(options()), 70)

    def test_the_page_tells_of_each_with_its_default(self):
        sections = dict(re.findall(r"^## (\w+)[^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
        for struct, name, default in options():
            row = re.search(rf"^\| `{name}` \|.*$", sections[struct.capitalize()], re.M)
            self.assertIsNotNone(row, name)
            self.assertEqual(row[0].split(" | ")[2], default, name)

    def test_nginx_has_a_directive_for_each_but_an_issuers(self):
        for struct, name, _ in options():
            if struct != "issuer":
                self.assertRegex(DIRECTIVES, rf'(OPTION\(|PREFIX )"{name}"\)', name)

    def test_each_directive_of_nginx_is_told(self):
        page = (ROOT / "docs/nginx.md").read_text() + "".join(
            f"`keyturn_{name}`" for struct, name, _ in options() if struct != "issuer")
        names = re.findall(r'(?:string\(PREFIX |OPTION\(|HERE\()"(\w+)"', DIRECTIVES)
        self.assertGreater(len(names), 25)
        for name in names:
            self.assertRegex(page, rf"`keyturn_{name}\b", name)

    def test_each_option_of_envoys_own_is_told(self):
        page, source = ((ROOT / "examples/envoy" / name).read_text() for name in ("README.md", "policy.c"))
        own = re.search(r"keyturn_is_of_access.*?\{(.*?)\};", source, re.S)[1]
        names = re.findall(r'"(\w+)"', own)
        self.assertGreater(len(names), 6)
        for name in [*names, "issuers"]:
            self.assertRegex(page, rf"(?m)^\|.*`{name}`", name)

    def test_apache_has_a_directive_for_each_but_an_issuers(self):
        for struct, name, _ in options():
            if struct != "issuer":
                self.assertRegex(APACHES, rf'(OPTION\(|PREFIX )"{spelled(name)}"', name)

    def test_each_directive_of_apache_is_told(self):
        page = (ROOT / "examples/apache/README.md").read_text() + "".join(
            f"`Keyturn{spelled(name)}`" for struct, name, _ in options() if struct != "issuer")
        names = re.findall(r'(?:\(PREFIX |"<" PREFIX |OPTION\()"(\w+)"', APACHES)
        self.assertGreater(len(names), 30)
        for name in names:
            self.assertRegex(page, rf"[`<]Keyturn{name}\b", name)


def spelled(name):
    return "".join(word.capitalize() for word in name.split("_"))
