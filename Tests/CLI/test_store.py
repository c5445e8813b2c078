"""What works on a store that gateways share: revoke, unrevoke, status, export, import."""

import json
import time
import unittest

from tool import PATIENCE, Agent, Case, Gateway, Issuer


def setUpModule():
    helper = Case()
    unittest.addModuleCleanup(helper.doCleanups)
    Store.live = Issuer(helper)


class Store(Case):
    """With one issuer for all; who changes or ends one takes his own."""

    def setUp(self):
        super().setUp()
        self.name()

    def name(self):
        self.at = ["--store", self.store, "--issuer", self.live.url]
        self.options = [*self.at, "--allow-http"]
        self.source = ["--issuer", self.live.url, "--allow-http"]

    def take_an_issuer(self):
        self.live = self.issuer()
        self.name()

    def status_of(self, token, wanted, gateway):
        """What a running gateway says of a token, when it has seen the store."""
        end = time.monotonic() + PATIENCE
        while (said := gateway.verify(token)) != wanted and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(said, wanted)


class Revoking(Store):
    def test_running_gateways_refuse_a_revoked_key_until_it_is_taken_back(self):
        Agent(self, self.write(self.live.settings()))
        gateway, token = Gateway(self, self.live), self.live.token()
        self.assertEqual(gateway.verify(token), "JWT_OK")
        kid = next(key["kid"] for key in self.live.get("/jwks.json")["keys"] if key["alg"] == "ES256")
        said = self.keyturn("revoke", *self.at, "--kid", kid)
        self.assertEqual(said, f"revoked kid {kid} for good\n")
        self.status_of(token, "JWT_KEY_REVOKED", gateway)
        told = self.json("status", *self.options)
        self.assertEqual([key["kid"] for key in told["keys"] if key["revoked"]], [kid])
        self.keyturn("unrevoke", *self.at, "--kid", kid)
        self.status_of(token, "JWT_OK", gateway)
        self.assertEqual(self.json("status", *self.options)["revocations"], [])

    def test_every_kind_is_revoked_and_taken_back(self):
        for kind, value in [("--thumbprint", "A" * 43), ("--kid", "a\x1b[2J"), ("--jti", "j"), ("--subject", "alice"),
                            ("--issued-before", "2026-01-01T00:00:00Z")]:
            with self.subTest(kind=kind):
                self.keyturn("revoke", *self.at, kind, value, "--until", "2d")
                told = self.json("status", *self.options, status=3)["revocations"]
                self.assertEqual([one["kind"] for one in told], [kind[2:]])
                self.assertAlmostEqual(told[0]["until"], time.time() + 172_800, delta=PATIENCE)
                shown = self.keyturn("status", *self.options, status=3)
                self.assertNotIn("alice", shown)
                self.keyturn("unrevoke", *self.at, kind, value)
                self.assertEqual(self.json("status", *self.options, status=3)["revocations"], [])

    def test_mistakes_are_told(self):
        for command, arguments, status, sentence in [
            ("unrevoke", [*self.at, "--kid", "never"], 2, "it is not revoked"),
            ("revoke", self.at, 64, "Say what, once"),
            ("revoke", [*self.at, "--kid", "a", "--jti", "b"], 64, "Say what, once"),
            ("revoke", [*self.at, "--kid", "a", "--until", "1970-01-02T00:00:00Z"], 1, "until: It is not in the future"),
            ("revoke", [*self.at, "--thumbprint", "short"], 1, "value"),
            ("revoke", ["--store", "/nowhere", "--issuer", "x", "--kid", "a"], 1, "/nowhere: store"),
        ]:
            with self.subTest(arguments=arguments):
                self.assertIn(sentence, self.keyturn(command, *arguments, status=status))

    def test_a_store_that_was_damaged_serves_nothing_and_says_so(self):
        Agent(self, self.write(self.live.settings()))
        self.assertEqual(Gateway(self, self.live).verify(self.live.token()), "JWT_OK")
        self.assertEqual(self.json("status", *self.options)["state"], "fresh")
        for path in self.store.glob("*.keys"):
            path.write_bytes(b"KTKEYS\x00\x02" + path.read_bytes()[8:])
        self.assertEqual(self.json("status", *self.options, status=3)["state"], "empty")


class Carrying(Store):
    def setUp(self):
        super().setUp()
        self.bundle = self.folder / "login.bundle"

    def export(self, *more):
        return self.keyturn("export", *self.source, "--output", self.bundle, *more)

    def test_a_gateway_that_cannot_ask_verifies_what_was_carried(self):
        self.take_an_issuer()
        token = self.live.token()
        exported = self.export()
        self.reap(self.live.process)
        imported = self.keyturn("import", *self.options, self.bundle)
        self.assertEqual(exported.splitlines()[1], imported.splitlines()[1])  # the digests
        self.assertEqual(Gateway(self, self.live).verify(token), "JWT_OK")
        self.keyturn("import", *self.options, self.bundle)  # once more does no harm

    def test_a_running_gateway_takes_the_next_bundle_over(self):
        self.take_an_issuer()
        self.export()
        self.keyturn("import", *self.options, self.bundle)
        gateway = Gateway(self, self.live)
        self.assertEqual(gateway.verify(self.live.token()), "JWT_OK")
        self.live.rotate()
        fresh = self.live.token()
        time.sleep(1.1)  # its time is told in seconds
        self.export()
        self.keyturn("import", *self.options, self.bundle)
        self.status_of(fresh, "JWT_OK", gateway)

    def test_its_age_counts(self):
        self.export()
        document = json.loads(self.bundle.read_text())
        for hours, status, state in [(2, 0, "stale"), (25, 2, "empty")]:
            with self.subTest(hours=hours):
                for path in self.store.iterdir():
                    if path.is_file():
                        path.unlink()
                document["fetched"] = int(time.time()) - hours * 3_600
                self.file("login.bundle", document)
                self.keyturn("import", *self.options, self.bundle, status=status)
                told = self.json("status", *self.options, status=3 if status else 0)
                self.assertEqual(told["state"], state)
                if not status:
                    self.assertAlmostEqual(told["age_seconds"], hours * 3_600, delta=PATIENCE)

    def test_an_older_bundle_replaces_no_newer_keys(self):
        self.export()
        self.keyturn("import", *self.options, self.bundle)
        document = json.loads(self.bundle.read_text())
        self.file("login.bundle", document | {"fetched": document["fetched"] - 100})
        self.assertIn("newer", self.keyturn("import", *self.options, self.bundle, status=2))

    def test_revocations_go_along(self):
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(mode=0o755)
        self.keyturn("revoke", "--store", elsewhere, "--issuer", self.live.url, "--kid", "es256-1")
        self.export("--store", elsewhere)
        self.keyturn("import", *self.options, self.bundle)
        self.assertEqual(self.json("status", *self.options)["revocations"][0]["value"], "es256-1")

    def test_what_is_no_bundle_is_refused(self):
        self.export()
        good = json.loads(self.bundle.read_text())
        answers = good["answers"]
        bent = answers[-1] | {"body": "e30="}
        for document, status, sentence in [
            ("{", 1, "login.bundle: not JSON"), ({}, 1, "not a bundle"), (good | {"keyturn_bundle": 2}, 1, "form 2 is not known"),
            (good | {"fetched": "x"}, 1, "is missing"), (good | {"answers": [1]}, 1, "answers[0]"),
            (good | {"revocations": [{}]}, 1, "revocations[0]"), (good | {"issuer": "x"}, 1, "of another issuer: x"),
            (good | {"fetched": int(time.time()) + 3_600}, 1, "from the future"),
            (good | {"answers": []}, 2, "the keys are refused"),
            (good | {"answers": answers[:-1] + [bent]}, 2, "no JWK Set that can be accepted"),
        ]:
            with self.subTest(sentence=sentence):
                self.file("login.bundle", document)
                said = self.keyturn("import", *self.options, self.bundle, status=status)
                self.assertIn(sentence, said)
                self.assertEqual(self.json("status", *self.options, status=3)["keys"], [])
