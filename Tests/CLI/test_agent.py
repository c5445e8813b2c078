"""`keyturn agent`: one process fetches, and gateways that neither fetch nor write verify."""

import json
import re
import signal
import subprocess

from tool import KEYTURN, PATIENCE, ROOT, Agent, Case, Gateway


class Serving(Case):
    def test_a_gateway_verifies_what_the_agent_has_fetched(self):
        issuer = self.issuer()
        Agent(self, self.write(issuer.settings()))
        self.assertEqual(Gateway(self, issuer).verify(issuer.token()), "JWT_OK")

    def test_a_gateways_unknown_kid_has_the_agent_fetch(self):
        issuer = self.issuer()
        Agent(self, self.write(issuer.settings()))
        gateway = Gateway(self, issuer)
        old = issuer.token()
        self.assertEqual(gateway.verify(old), "JWT_OK")
        issuer.rotate()
        self.assertEqual(gateway.verify(issuer.token()), "JWT_OK")
        # Whether the agent has asked anew for a kid that has gone, or not, is up to its bounds.
        self.assertIn(gateway.verify(old), ("JWT_KEY_NOT_FOUND", "JWKS_KEYS_UNAVAILABLE"))

    def test_a_gateway_starts_while_agent_and_issuer_are_gone(self):
        issuer = self.issuer()
        agent = Agent(self, self.write(issuer.settings()))
        token = issuer.token()
        self.assertEqual(Gateway(self, issuer).verify(token), "JWT_OK")
        agent.end()
        self.reap(issuer.process)
        self.assertEqual(Gateway(self, issuer).verify(token), "JWT_OK")


class Living(Case):
    def test_it_ends_when_told(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            agent = Agent(self, self.write({"issuer": "https://127.0.0.1:9", "discovery": "openid"}))
            agent.end(how)
            self.assertEqual(agent.notice(), "STOPPING=1")

    def test_a_reload_adds_and_removes_issuers(self):
        first, second = self.issuer(), self.issuer()
        agent = Agent(self, self.write(first.settings()))
        self.assertEqual(Gateway(self, first).verify(first.token()), "JWT_OK")
        self.write(second.settings())
        agent.reload()
        agent.until('reloaded issuers="1"')
        self.assertEqual(Gateway(self, second).verify(second.token()), "JWT_OK")

    def test_a_mistake_in_a_reload_leaves_all_as_it_was(self):
        issuer = self.issuer()
        agent = Agent(self, self.write(issuer.settings()))
        (self.folder / "agent.json").write_text("{")
        agent.reload()
        self.assertIn("agent.json: not JSON", agent.until("configuration is not reloaded"))
        self.write(issuer.settings(hard_limit_ms=1))
        agent.reload()
        self.assertIn("hard_limit_ms", agent.until("issuer is not changed"))
        self.assertEqual(Gateway(self, issuer).verify(issuer.token()), "JWT_OK")


class Refusing(Case):
    def refusal(self, document, store=None):
        path = self.folder / "agent.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        command = [KEYTURN, "agent", "--store", str(store or self.store), "--config", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertNotIn("not implemented", done.stderr)
        return done.stderr.replace("\\", "")

    def test_each_mistake_is_told_by_its_place(self):
        good = {"issuer": "https://a.example", "discovery": "openid"}
        for document, sentence in [
            ("{", "agent.json: not JSON"),
            ([], "agent.json: not an object"),
            ({}, "issuers: required"),
            ({"issuers": []}, "issuers: required"),
            ({"issuers": [good], "isuers": 1}, "isuers: no such option"),
            ({"issuers": [good | {"jwks_ulr": "x"}]}, "issuers[0].jwks_ulr: no such option"),
            ({"issuers": [{}]}, "issuers[0].issuer: required"),
            ({"issuers": [good, good]}, "issuers[1].issuer: there is another"),
            ({"issuers": [good | {"max_keys": 1.5}]}, "issuers[0].max_keys: not a number"),
            ({"issuers": [good | {"max_keys": "1"}]}, "issuers[0].max_keys: not a number"),
            ({"issuers": [good | {"lazy": 1}]}, "issuers[0].lazy: not true or false"),
            ({"issuers": [good | {"discovery": "oidc"}]}, 'issuers[0].discovery: not "none" or "oauth" or "openid"'),
            ({"issuers": [good | {"algorithms": ["none"]}]}, "issuers[0].algorithms: not a list of registered names"),
            ({"issuers": [good | {"headers": ["x"]}]}, 'issuer "https://a.example": headers[0]'),
            ({"issuers": [good | {"issuer": "http://a.example"}]}, "allow_http"),
        ]:
            with self.subTest(document=document):
                self.assertIn(sentence, self.refusal(document))

    def test_a_store_that_cannot_be_used_is_told(self):
        good = {"issuers": [{"issuer": "https://a.example", "discovery": "openid"}]}
        self.assertIn("store", self.refusal(good, self.folder / "missing"))
        self.store.chmod(0o777)
        self.assertIn("store", self.refusal(good))

    def test_every_option_of_the_header_has_its_name(self):
        header = (ROOT / "include/keyturn.h").read_text()
        body = re.search(r"typedef struct jwks_issuer_options \{(.*?)\n\} jwks_issuer_options;", header, re.S)[1]
        names = re.findall(r"(\w+);", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
        names = [name for name in names if name not in ("size", "reserved") and not name.endswith("_count")]
        self.assertGreater(len(names), 20)
        for name in names:
            sentence = self.refusal({"issuers": [{"issuer": "https://a.example"} | {name: {}}]})
            self.assertIn(f"issuers[0].{name}: not ", sentence)
