"""docs/operations.md as it is written, and the rules and the dashboard that it names."""

import json
import os
import re
import subprocess

from pages import Site, key_metrics, page
from tool import KEYTURN, PATIENCE, ROOT, Agent, Case, Gateway

PROMTOOL = ROOT / "build/tools/promtool"
RULES = ROOT / "examples/prometheus/keyturn.rules.yml"
TESTS = ROOT / "examples/prometheus/keyturn.rules.test.yml"


def families():
    """Every metric that a cache has."""
    source = (ROOT / "Sources/Keyturn/CAPI/MetricsAPI.swift").read_text()
    lines = re.findall(r"^  (\w+)\|(gauge|counter|summary)\|", source, re.M)
    return {f"keyturn_{name}{end}" for name, kind in lines for end in (["_sum", "_count"] if kind == "summary" else [""])}


class Runbooks(Case):
    def setUp(self):
        super().setUp()
        self.live = self.issuer()
        config = self.write(self.live.settings())
        Agent(self, config)
        token = self.live.token()
        self.assertEqual(Gateway(self, self.live).verify(token), "JWT_OK")  # so that there is something in the store
        self.file("token", token)
        keys = self.live.get("/jwks.json")["keys"]
        self.file("keys.json", {"keys": keys})
        self.file("keys.old.json", {"keys": keys[:3]})
        self.file("ca.pem", "")
        for gateway in ("gw1.metrics", "gw2.metrics"):
            self.file(gateway, key_metrics(("es256-1", 1_700_000_000), issuer=self.live.url))
        kids = [key["kid"] for key in keys]
        self.file("gateways", Site(self, *100 * [page(worker, *kids, issuer=self.live.url) for worker in (1, 2)]).url)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/keyturn").symlink_to(KEYTURN)
        (self.folder / "examples").symlink_to(ROOT / "examples")

    def test_every_block_does_what_it_is_there_for(self):
        text = (ROOT / "docs/operations.md").read_text()
        self.assertEqual(text.count("```"), 2 * text.count("```sh"))
        blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
        self.assertGreater(len(blocks), 15)
        path = f"{self.folder}/bin:{PROMTOOL.parent}:{os.environ['PATH']}"
        for block in blocks:
            with self.subTest(block=block):
                for written, here in [("/var/lib/keyturn", self.store), ("/etc/keyturn", self.folder),
                                      ("https://login.example.com", self.live.url)]:
                    block = block.replace(written, str(here))
                block = re.sub(r"^keyturn (plan|canary) ", r"\g<0>--allow-http ", block, flags=re.M)
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=self.folder, capture_output=True,
                                      text=True, timeout=PATIENCE, env=os.environ | {"PATH": path}, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertFalse(self.store.exists())  # the last of them


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

    def test_rules_and_dashboard_name_metrics_that_exist(self):
        known = families()
        self.assertGreater(len(known), 30)
        dashboard = json.loads((ROOT / "examples/grafana/keyturn.json").read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        self.assertGreater(len(expressions), 8)
        named = re.findall(r"\bkeyturn_\w+", RULES.read_text() + " ".join(expressions))
        self.assertEqual({name for name in named if name not in known}, set())
        places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
        self.assertEqual(len(set(places)), len(places))
        for expression in expressions:
            text = expression.replace("$issuer", ".*").replace("$instance", ".*")
            rules = self.file("one.yml", json.dumps({"groups": [{"name": "a", "rules": [{"record": "a", "expr": text}]}]}))
            self.assertEqual(subprocess.run([PROMTOOL, "check", "rules", rules], capture_output=True, check=False).returncode, 0, text)
