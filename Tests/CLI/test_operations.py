"""docs/operations.md as it is written, and the rules and the dashboard that it names."""

import json
import os
import re
import subprocess
import time

from pages import Site, authority, key_metrics, page
from tool import KEYTURN, PATIENCE, ROOT, Agent, Case, Gateway

PROMTOOL = ROOT / "build/tools/promtool"
RULES = ROOT / "examples/prometheus/keyturn.rules.yml"
TESTS = ROOT / "examples/prometheus/keyturn.rules.test.yml"


# What each block of commands says, in their order, and what a gateway of the store makes of the token then.
TOLD = [
    (r"rules found.*SUCCESS", "JWT_OK"),
    (r"publish .*sign .*retire .*gone ", "JWT_OK"),
    (r"safe: no good token.*safe: no good token", "JWT_OK"),
    (r"^kid .*\nes256-1 ", "JWT_OK"),
    (r"^accepted sha256:", "JWT_OK"),
    (r"to be accepted\nconverged", "JWT_OK"),
    (r"retire .*latest exp .*gone ", "JWT_OK"),
    (r"to be refused\nconverged", "JWT_OK"),
    (r"exposed .*revoked kid es256-1.*fresh.*es256-1", "JWT_KEY_REVOKED"),
    (r"^revoked issued-before .* until ", "JWT_KEY_REVOKED"),
    (r"^revoked no more: kid es256-1", "JWT_REVOKED"),
    (r"passed  form .*passed  signature", "JWT_REVOKED"),
    (r"fresh\n.*served for .*\nkey es256-1 ", "JWT_REVOKED"),
    (r"^kid .*\nes256-1 ", "JWT_REVOKED"),
    (r"^(\d+ keys of \S+,).*\n(sha256:\w+)\n\1.*\n\2", "JWT_REVOKED"),
    (r'"digest": "\w{64}"', "JWT_REVOKED"),
    (r"\nes256-1 .*\nkid .*\nes256-1 ", "JWT_REVOKED"),  # of two issuers
    (r"UTC.*passed  form .*passed  signature", "JWT_REVOKED"),
    (r"Filesystem.* 755", "JWT_REVOKED"),
    (r"^$", "JWT_REVOKED"),
    (r"^kid .*\nes256-1 ", "JWT_REVOKED"),
    (r"^$", "JWT_REVOKED"),
]


def families():
    """Every metric that a cache has."""
    source = (ROOT / "Sources/Keyturn/CAPI/MetricsAPI.swift").read_text()
    lines = re.findall(r"^  (\w+)\|(gauge|counter|summary)\|", source, re.M)
    return {f"keyturn_{name}{end}" for name, kind in lines for end in (["_sum", "_count"] if kind == "summary" else [""])}


class Runbooks(Case):
    def setUp(self):
        super().setUp()
        self.live = self.issuer()
        Agent(self, self.write(self.live.settings()))
        self.gateway, token = Gateway(self, self.live), self.live.token()
        self.assertEqual(self.gateway.verify(token), "JWT_OK")  # so that there is something in the store
        self.token = self.file("token", token).read_text()
        keys = self.live.get("/jwks.json")["keys"]
        self.file("keys.json", {"keys": keys})
        self.file("keys.old.json", {"keys": keys[:3]})
        self.another_issuer(keys)
        for gateway in ("gw1.metrics", "gw2.metrics"):
            self.file(gateway, key_metrics(("es256-1", 1_700_000_000), issuer=self.live.url))
        kids = [key["kid"] for key in keys]
        self.file("gateways", Site(self, *100 * [page(worker, *kids, issuer=self.live.url) for worker in (1, 2)]).url)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/keyturn").symlink_to(KEYTURN)
        (self.folder / "examples").symlink_to(ROOT / "examples")

    def another_issuer(self, keys):
        """By https, whose authority is to be followed by another."""
        (now, context), (after, _) = (authority(self.folder, name) for name in ("now", "after"))
        self.other = Site(self, (200, ""), context=context)
        document = {"issuer": self.other.url, "jwks_uri": f"{self.other.url}/keys", "keys": keys}  # wherever it is asked
        self.other.answers = [(200, json.dumps(document))]
        self.file("ca.pem", after.read_text() + now.read_text())
        config = self.write(self.live.settings(), {"issuer": self.other.url, "discovery": "openid", "ca_file": str(now)})
        self.assertIn("not to be trusted", self.keyturn("keys", "--config", config, "--issuer", self.other.url, "--ca-file", after, status=1))

    def test_every_block_does_what_it_is_there_for(self):
        text = (ROOT / "docs/operations.md").read_text()
        self.assertEqual(text.count("```"), 2 * text.count("```sh"))
        blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
        for block, (told, verdict) in zip(blocks, TOLD, strict=True):
            with self.subTest(block=block):
                self.assertRegex(self.run_block(block), re.compile(told, re.S))
                self.until_the_gateway_says(verdict)
        self.assertIn('"issued-before"', (self.folder / "before.json").read_text())  # so that it can be made again
        self.assertFalse(self.store.exists())  # the last of them

    def run_block(self, block):
        issuer = self.other if "--ca-file" in block else self.live
        for written, here in [("/var/lib/keyturn", self.store), ("/etc/keyturn", self.folder), ("https://login.example.com", issuer.url)]:
            block = block.replace(written, str(here))
        block = re.sub(r"^keyturn (plan|canary) ", r"\g<0>--allow-http ", block, flags=re.M)
        path = f"{self.folder}/bin:{PROMTOOL.parent}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=self.folder, capture_output=True, text=True,
                              timeout=PATIENCE, env=os.environ | {"PATH": path}, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def until_the_gateway_says(self, verdict):
        """It hears of what is in the store within a second."""
        latest = time.monotonic() + PATIENCE
        while (now := self.gateway.verify(self.token)) != verdict and time.monotonic() < latest:
            time.sleep(0.05)
        self.assertEqual(now, verdict)


class Rules(Case):
    def promtool(self, rules):
        """Whether the tests of the rules hold for these."""
        self.file("keyturn.rules.yml", rules)
        self.file("tests.yml", TESTS.read_text())
        return subprocess.run([PROMTOOL, "test", "rules", "tests.yml"], cwd=self.folder, capture_output=True,
                              timeout=PATIENCE, check=False).returncode == 0

    def test_each_alert_fires_on_its_fault_alone_and_its_test_notices_when_not(self):
        rules = RULES.read_text()
        self.assertTrue(self.promtool(rules))
        alerts = re.findall(r"- alert: (\w+)\n", rules)
        self.assertGreaterEqual(len(alerts), 10)
        for alert in alerts:
            head = f"- alert: {alert}\n        expr: "
            with self.subTest(alert=alert):
                self.assertFalse(self.promtool(re.sub(head + r"(.*|\|\n( {10,}.*\n)+)", head + "vector(0) > 1\n", rules)))
                self.assertFalse(self.promtool(re.sub(head + r"(.*|\|\n( {10,}.*\n)+)", head + "keyturn_issuer_ready >= 0\n", rules)))
                self.assertIn(f"`{alert}`", (ROOT / "docs/operations.md").read_text())

    def test_they_name_metrics_that_exist(self):
        known = families()
        self.assertGreater(len(known), 30)
        self.assertEqual(set(re.findall(r"\bkeyturn_\w+", RULES.read_text())) - known, set())


class Dashboard(Case):
    """examples/grafana, held against the classic dashboard schema of Grafana; no Grafana has opened it here."""

    def setUp(self):
        super().setUp()
        self.text = (ROOT / "examples/grafana/keyturn.json").read_text()

    def flaws(self, board):
        """What Grafana would stumble over, or show wrongly."""
        flaws = [f"no {name}" for name in ("uid", "title", "schemaVersion", "time", "templating", "panels") if not board.get(name)]
        if not re.fullmatch(r"[\w-]{1,40}", board["uid"], re.A) or board.get("id") is not None:
            flaws.append("identity")
        if not (isinstance(board["schemaVersion"], int) and 30 <= board["schemaVersion"] <= 41):  # of Grafana 8 to 12
            flaws.append("schemaVersion")
        flaws += self.flaws_of_variables(board["templating"]["list"], json.dumps(board["panels"]))
        taken = {}
        for panel in board["panels"]:
            flaws += self.flaws_of_panel(panel)
            x, y, w, h = (int(panel["gridPos"][name]) for name in "xywh")
            if any(taken.setdefault((x + right, y + down), panel) is not panel for right in range(w) for down in range(h)):
                flaws.append("overlaps")
        ids = [panel.get("id") for panel in board["panels"]]
        return flaws + (["ids"] if len(set(ids)) < len(ids) else [])

    def flaws_of_variables(self, variables, panels):
        names = [variable["name"] for variable in variables]
        flaws = ["variables"] if len(set(names)) < len(names) else []
        source = variables[0]
        if (source["name"], source["type"], source.get("query")) != ("datasource", "datasource", "prometheus"):
            flaws.append("no variable for the datasource")
        for variable in variables[1:]:
            asked = re.fullmatch(r"label_values\((keyturn_\w+), (\w+)\)", variable["query"])
            if variable["type"] != "query" or not asked or asked[1] not in families() or not self.is_of_prometheus(variable):
                flaws.append(f"variable {variable['name']}")
        used = re.findall(r"\$\{?([a-z]\w*)", panels)
        return flaws + [f"variable {name}" for name in set(names) ^ set(used)]

    def flaws_of_panel(self, panel):
        grid, defaults = panel["gridPos"], panel["fieldConfig"]["defaults"]
        if sorted(grid) != ["h", "w", "x", "y"] or not all(isinstance(part, int) and part >= 0 for part in grid.values()):
            yield "gridPos"
        elif not (1 <= grid["w"] and grid["x"] + grid["w"] <= 24 and 1 <= grid["h"]):
            yield "off the grid"
        if not isinstance(panel.get("id"), int) or panel["type"] not in ("stat", "timeseries") or not panel["title"]:
            yield "identity"
        if not self.is_of_prometheus(panel) or not all(map(self.is_of_prometheus, panel["targets"])):
            yield "datasource"
        if defaults.get("unit") not in ("short", "s", "reqps") or panel["fieldConfig"]["overrides"] != []:
            yield "unit"
        if [target["refId"] for target in panel["targets"]] != [chr(65 + place) for place in range(len(panel["targets"]))]:
            yield "refId"
        if not panel["targets"] or not all(target["expr"] and target["legendFormat"] for target in panel["targets"]):
            yield "nothing to show"

    @staticmethod
    def is_of_prometheus(part):
        return part.get("datasource") == {"type": "prometheus", "uid": "${datasource}"}

    def flaws_of_expressions(self, board):
        known = families()
        expressions = [re.sub(r"\$\w+", ".*", target["expr"]) for panel in board["panels"] for target in panel["targets"]]
        rules = [{"record": f"number:{place}", "expr": text} for place, text in enumerate(expressions)]
        path = self.file("expressions.yml", json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        done = subprocess.run([PROMTOOL, "check", "rules", path], capture_output=True, text=True, timeout=PATIENCE, check=False)
        flaws = [f"metric {name}" for text in expressions for name in re.findall(r"\bkeyturn_\w+", text) if name not in known]
        return flaws if done.returncode == 0 and f"{len(rules)} rules found" in done.stdout else [*flaws, "expression"]

    def test_it_is_as_grafana_wants_it(self):
        board = json.loads(self.text)
        self.assertGreater(len(board["panels"]), 8)
        self.assertEqual(self.flaws(board) + self.flaws_of_expressions(board), [])

    def test_a_flaw_would_be_noticed(self):
        for flaw, old, new in [
            ("identity", '"uid": "keyturn"', '"uid": "key turn"'),
            ("schemaVersion", '"schemaVersion": 38', '"schemaVersion": "38"'),
            ("variable instance", '"name": "instance"', '"name": "instances"'),
            ("variable issuer", "label_values(keyturn_issuer_ready, issuer)", "label_values(keyturn_ready, issuer)"),
            ("no variable for the datasource", '"query": "prometheus"', '"query": "loki"'),
            ("datasource", '"uid": "${datasource}"\n      },\n      "gridPos"', '"uid": "mine"\n      },\n      "gridPos"'),
            ("ids", '"id": 2,', '"id": 1,'),
            ("overlaps", '"y": 8,', '"y": 7,'),
            ("off the grid", '"x": 12,', '"x": 13,'),
            ("gridPos", '"y": 8,', '"y": "8",'),
            ("unit", '"unit": "s"', '"unit": "seconds"'),
            ("refId", '"refId": "A"', '"refId": "B"'),
            ("nothing to show", '"legendFormat": "{{issuer}}"', '"legendFormat": ""'),
        ]:
            with self.subTest(flaw=flaw):
                self.assertIn(old, self.text)
                self.assertIn(flaw, self.flaws(json.loads(self.text.replace(old, new, 1))))
        for flaw, new in [("metric keyturn_ready", "sum by (issuer) (1 - keyturn_ready"),
                          ("expression", "sum by issuer (1 - keyturn_issuer_ready")]:
            with self.subTest(flaw=flaw):
                board = json.loads(self.text.replace("sum by (issuer) (1 - keyturn_issuer_ready", new, 1))
                self.assertEqual(self.flaws_of_expressions(board), [flaw])
