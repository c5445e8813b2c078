"""A real Prometheus with the shipped rules, before two real gateways: silent in a healthy rotation, and each alert on its
own fault and not before; each panel of the dashboard has something to show of that. Every duration of the rules is divided by
`FASTER`, 5 m to 2.5 s, and nothing else of them is changed. `mutants` has rules that are broken either way."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
from datetime import datetime
from pathlib import Path

import test_canary
from host import ROOT, end
from nginx import OfNginx
from origin import PATIENCE

PROMETHEUS = ROOT / "build/tools/prometheus"
PROMETHEUS = PROMETHEUS if PROMETHEUS.exists() else shutil.which("prometheus")
RULES = Path(os.environ.get("KEYTURN_RULES", ROOT / "examples/prometheus/keyturn.rules.yml"))
DASHBOARD = ROOT / "examples/grafana/keyturn.json"
FASTER = 120
UNITS = {"m": 60_000, "h": 3_600_000}
DURATION = re.compile(r"(?<=\[|\s)(\d+)([mh])(?=\]|\s)")
CONFIGURATION = """
global: {{ scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }}
rule_files: [{rules}]
scrape_configs: [{{ job_name: gateways, static_configs: [{{ targets: {targets} }}] }}]
"""
TIMES = {"hard_limit_ms": 8000, "backoff_base_ms": 1000, "backoff_max_ms": 1000, "backoff_max_unserved_ms": 1000} | test_canary.EACH_SECOND


class Mirror(test_canary.Mirror):
    """Keeps what it has once it is held."""

    held = False

    def answer(self, handler):
        if not self.issuer.up:
            return self.reply(handler, {}, 503)
        if not self.held:
            self.kept = self.issuer.body or self.issuer.text()
        self.reply(handler, self.kept)


class Server:
    """Prometheus, on a port of loopback which a socket that never listens keeps for it. It ends with the test."""

    def __init__(self, case, targets):
        self.case, folder = case, case.folder / "prometheus"
        folder.mkdir()
        rules, self.durations = DURATION.subn(lambda found: f"{int(found[1]) * UNITS[found[2]] // FASTER}ms", RULES.read_text())
        (folder / "rules.yml").write_text(rules)
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(rules=folder / "rules.yml", targets=json.dumps(targets)))
        place = socket.socket()
        case.addCleanup(place.close)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        self.port, self.log = place.getsockname()[1], folder / "log"
        command = [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                   f"--web.listen-address=127.0.0.1:{self.port}"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        case.addCleanup(end, self.process)

    def get(self, path, **query):
        self.case.assertIsNone(self.process.poll(), self.log.read_text())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
            answer = connection.getresponse()
            return json.loads(answer.read())["data"] if answer.status == 200 else None  # it is not ready at once
        except ConnectionRefusedError:
            return None
        finally:
            connection.close()

    def query(self, text):
        found = self.get("query", query=text)
        return found["result"] if found else []

    def value(self, text):
        found = self.query(text)
        return float(found[0]["value"][1]) if found else 0

    def firing(self):
        return {each["labels"]["alertname"] for each in self.get("alerts")["alerts"] if each["state"] == "firing"}

    def rules(self, kind):
        return [rule for group in (self.get("rules", type=kind) or {"groups": []})["groups"] for rule in group["rules"]]


class Alerts(OfNginx):
    gateway = test_canary.Canary.gateway

    def setUp(self):
        super().setUp()
        self.issuer = self.origin()
        self.mirror = Mirror(self, self.issuer)
        self.near = self.gateway("near", self.issuer, f"{self.issuer.url}/jwks.json", **TIMES)
        self.far = self.gateway("far", self.issuer, f"{self.mirror.url}/jwks.json", **TIMES)
        self.gateways = [self.near, self.far]
        self.server = Server(self, [gateway.url.removeprefix("http://") for gateway in self.gateways])
        self.verdicts = []
        self.until(lambda: self.server.value("sum(up)") == 2, "both targets are up")
        self.until(lambda: len(self.digests()) == 2, "both gateways tell of their sets")

    # ---- What goes on

    def request(self):
        """A short-lived token of the key in use, at each gateway."""
        token = self.issuer.token(exp=self.issuer.now() + 3)
        self.verdicts += [self.at(gateway, token) for gateway in self.gateways]

    @staticmethod
    def at(gateway, token):
        place = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=PATIENCE)
        try:
            place.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
            answer = place.getresponse()
            answer.read()
            return answer.status
        finally:
            place.close()

    def until(self, what, why, meanwhile=None):
        latest = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > latest:
                self.fail(f"not within {PATIENCE} s: {why}. Firing: {self.server.firing()}. {self.server.log.read_text()[-2000:]}")
            (meanwhile or self.request)()
            time.sleep(0.02)

    def fires(self, *names, meanwhile=None):
        for name in names:
            self.until(lambda: name in self.server.firing(), f"{name} fires", meanwhile)
            self.seen.add(name)

    def ends(self, *names):
        self.until(lambda: not self.server.firing() & set(names), f"{names} end")

    def digests(self):
        return [each["metric"]["digest"] for each in self.server.query("keyturn_key_set_info")]

    def until_all_have_another_set(self, before):
        self.until(lambda: len(now := self.digests()) == 2 and len(set(now)) == 1 and now[0] != before, "both have the new set")

    # ---- The test

    def test_each_alert_fires_on_its_fault_and_not_before(self):
        self.seen = set()
        self.a_healthy_rotation()
        for fault in (self.a_cache_holds_an_old_set, self.keys_that_nobody_publishes, self.a_store_that_cannot_be_written,
                      self.an_outage, self.a_private_key, self.a_key_retired_too_early, self.a_revoked_key,
                      self.tokens_of_a_revoked_key, self.a_hard_rotation):
            with self.subTest(fault.__name__):
                self.no_other_has_fired()
                fault()
        self.assertEqual(self.seen, {rule["name"] for rule in self.server.rules("alert")})
        self.the_dashboard_shows_it()

    def the_dashboard_shows_it(self):
        """Each expression has had something to show, with the labels that its legend names."""
        targets = [target for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]
        self.assertGreater(len(targets), 10)
        for target in targets:
            text = target["expr"].replace("$issuer", ".+").replace("$instance", ".+")
            with self.subTest(text):
                shown = self.server.query(f"last_over_time(({text})[10m:1s])")
                self.assertTrue(shown)
                named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                self.assertTrue(all(set(series["metric"]) == named for series in shown), shown)

    def no_other_has_fired(self):
        """From the start until now, but those whose fault has been."""
        now = time.time()
        self.until(lambda: all(datetime.fromisoformat(rule["lastEvaluation"]).timestamp() > now for rule in self.server.rules("alert")),
                   "all alerts are evaluated")
        fired = self.server.query('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1h]))')
        self.assertEqual({each["metric"]["alertname"] for each in fired}, self.seen)

    def a_healthy_rotation(self):
        self.until(lambda: len(set(self.digests())) == 1, "both have one set")
        old, new = self.issuer.signer, self.issuer.make()
        first, = set(self.digests())
        self.issuer.publish(new)
        self.until_all_have_another_set(first)
        both, = set(self.digests())
        self.issuer.signer = new
        ended = self.issuer.now() + 4  # the last tokens of the old key
        self.until(lambda: self.issuer.now() > ended, "the last tokens have run out")
        self.issuer.withdraw(old)
        self.until_all_have_another_set(both)
        settled = time.time()
        self.until(lambda: self.server.value("timestamp(keyturn:key_set_digests:count)") > settled + 8, "the longest `for` has passed")
        self.assertEqual(set(self.verdicts), {200})
        self.assertEqual(self.server.query('count_over_time(ALERTS{alertstate="firing"}[5m])'), [])
        for rule in self.server.rules("alert") + self.server.rules("record"):
            self.assertEqual((rule["health"], rule["lastEvaluation"] > "2"), ("ok", True), rule)
        for count in ("up", "keyturn_tokens_total", "keyturn:age_of_hard_limit:ratio", "keyturn:key_set_digests:count"):
            self.assertGreater(self.server.value(f"min(count_over_time({count}[5m]))"), 10, count)
        self.assertEqual(len(self.server.query("keyturn_key_latest_expiry_timestamp_seconds")), 2)
        self.assertGreater(self.server.durations, 10)

    # ---- The faults

    def a_cache_holds_an_old_set(self):
        self.mirror.held = True
        self.issuer.publish(self.issuer.make())
        self.fires("KeyturnFleetDisagrees")
        self.mirror.held = False
        self.ends("KeyturnFleetDisagrees")

    def keys_that_nobody_publishes(self):
        unknown = self.issuer.token(self.issuer.make())
        self.fires("KeyturnKidMisses", meanwhile=lambda: [self.at(gateway, unknown) for gateway in self.gateways])
        self.ends("KeyturnKidMisses")

    def a_store_that_cannot_be_written(self):
        os.chmod(self.near.store, 0o500)
        self.issuer.publish(self.issuer.make())
        self.fires("KeyturnStoreTrouble")
        os.chmod(self.near.store, 0o700)
        self.issuer.publish(self.issuer.make())
        self.ends("KeyturnStoreTrouble")

    def an_outage(self):
        outage = ("KeyturnRefreshFailing", "KeyturnKeysNearHardLimit", "KeyturnNoKeys")
        self.issuer.up = False
        self.fires(*outage)
        self.issuer.up = True
        self.ends(*outage)

    def a_private_key(self):
        keys = self.issuer.jwks()["keys"]
        self.issuer.body = {"keys": [*keys, self.issuer.make().document() | {"d": "AAAA"}]}
        self.fires("KeyturnPrivateKeyPublished")
        self.issuer.body = None

    def a_key_retired_too_early(self):
        old, new = self.issuer.signer, self.issuer.make()
        before, = set(self.digests())
        self.assertEqual([self.at(gateway, self.issuer.token(old)) for gateway in self.gateways], [200, 200])
        self.until(lambda: self.server.value("max(keyturn_key_latest_expiry_timestamp_seconds)") > time.time() + 60, "it is told")
        self.issuer.publish(new)
        self.until_all_have_another_set(before)
        self.issuer.signer = new
        self.issuer.withdraw(old)
        self.fires("KeyturnKeyRetiredTooEarly")

    def a_revoked_key(self):
        self.revoked = self.issuer.make()
        before, = set(self.digests())
        self.issuer.publish(self.revoked)
        self.until_all_have_another_set(before)
        both, = set(self.digests())
        for gateway in self.gateways:
            gateway.revoke(self.issuer, self.revoked.kid)
        self.fires("KeyturnRevokedKeyPublished")
        self.issuer.withdraw(self.revoked)
        self.until_all_have_another_set(both)
        self.ends("KeyturnRevokedKeyPublished")
        self.issuer.publish(self.revoked)
        self.fires("KeyturnRevokedKeyPublished")

    def tokens_of_a_revoked_key(self):
        token = self.issuer.token(self.revoked)
        self.fires("KeyturnRevokedKeyUsed", meanwhile=lambda: self.at(self.near, token))

    def a_hard_rotation(self):
        self.issuer.rotate()
        self.fires("KeyturnDisjointKeySet")
