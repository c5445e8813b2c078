"""What looks at tokens and keys: verify, inspect, explain, keys, lint."""

import base64
import json
import subprocess
import unittest

from tool import KEYTURN, PATIENCE, Case, Issuer


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def forged(header, claims):
    return ".".join(base64url(json.dumps(part).encode()) for part in (header, claims)) + ".AAAA"


def setUpModule():
    helper = Case()
    unittest.addModuleCleanup(helper.doCleanups)
    Looking.live = Issuer(helper)


class Looking(Case):
    """With one issuer for all, whose keys nobody changes."""

    def setUp(self):
        super().setUp()
        self.online = ["--issuer", self.live.url, "--allow-http"]
        self.keys = self.file("keys.json", self.live.get("/jwks.json"))
        self.offline = ["--issuer", self.live.url, "--file", self.keys]


class Verifying(Looking):
    def test_a_good_token_is_accepted_from_every_source(self):
        token = self.live.token()
        path = self.file("token", f"Bearer {token}\n")
        for keys in (self.online, self.offline, ["--jwks-url", self.live.url + "/jwks.json", "--allow-http",
                                                 "--allow-any-issuer"]):
            for given in ({"given": token}, {"given": token + "\n"}):
                said = self.keyturn("verify", *keys, "--audiences", "orders", **given)
                self.assertRegex(said, r"^accepted sha256:[0-9a-f]{16}: signed by key es256-\d+ of .* \(ES256\), expires in")
            self.keyturn("verify", *keys, "--audiences", "orders", "--token-file", path)
            self.keyturn("verify", *keys, "--audiences", "orders", token)

    def test_each_refusal_says_why_and_shows_no_token(self):
        for query, options, status in [
            ({}, ["--audiences", "billing"], "JWT_AUDIENCE_MISMATCH"),
            ({"exp": -60}, ["--audiences", "orders"], "JWT_EXPIRED"),
            ({}, ["--audiences", "orders", "--at", "2040-01-01T00:00:00Z"], "JWT_EXPIRED"),
            ({}, ["--audiences", "orders", "--type", "jwt"], "JWT_TYPE_MISMATCH"),
            ({}, ["--audiences", "orders", "--algorithms", "RS256"], "JWT_ALGORITHM_NOT_ALLOWED"),
            ({}, ["--audiences", "orders", "--max-lifetime-s", "60"], "JWT_LIFETIME_TOO_LONG"),
            ({}, ["--audiences", "orders", "--max-token", "64"], "JWT_TOO_LARGE"),
            ({}, ["--audiences", "orders", "--rules", '{"kind": "has_word", "claim": "scope", "values": ["pay"]}'],
             "JWT_RULE_FAILED"),
            ({"kid": "other"}, ["--audiences", "orders"], "JWT_KEY_NOT_FOUND"),
            ({"iss": "https://other.example"}, ["--audiences", "orders"], "JWT_ISSUER_UNKNOWN"),
        ]:
            with self.subTest(status=status):
                token = self.live.token(**query)
                said = self.keyturn("verify", *self.offline, *options, status=2, given=token)
                self.assertEqual(said.count("\n"), 1)
                self.assertIn(status, said)
                for part in token.split("."):
                    self.assertNotIn(part, said)
                told = self.json("verify", *self.offline, *options, status=2, given=token)
                self.assertEqual((told["verdict"], told["status"]), ("refused", status))

    def test_json_has_what_a_script_needs(self):
        told = self.json("verify", *self.online, "--audiences", "orders", "--claims", given=self.live.token())
        self.assertEqual((told["verdict"], told["code"], told["http"]), ("accepted", 0, 200))
        self.assertEqual(told["key"]["algorithm"], "ES256")
        self.assertEqual(told["claims"]["sub"], "alice")
        self.assertNotIn("claims", self.json("verify", *self.online, "--audiences", "orders", given=self.live.token()))

    def test_keys_that_are_not_at_hand_are_no_verdict(self):
        token = self.live.token(iss="http://127.0.0.1:9")
        said = self.keyturn("verify", "--issuer", "http://127.0.0.1:9", "--allow-http", "--audiences", "orders",
                            status=3, given=token)
        self.assertIn("nobody answers there", said)

    def test_mistakes_are_told(self):
        for arguments, status, sentence in [
            (["--audiences", "a"], 64, "Say where the keys are"),
            (["--file", self.keys, "--audiences", "a"], 64, "Say whose token it must be"),
            (self.offline, 64, "Say who the token is for"),
            ([*self.offline, "--audiences", "a", "--at", "noon"], 64, "--at"),
            ([*self.offline, "--audiences", "a", "--token-file", "/nowhere"], 1, "/nowhere: No such file"),
            ([*self.offline, "--audiences", "a", "--algorithms", "none"], 1, "algorithms: there is none of this name"),
            ([*self.offline, "--audiences", "a", "--rules", '{"kind": "is"}'], 1, "rules[0].claim"),
            ([*self.offline, "--audiences", "a", "--leeway-s", "9999"], 1, "leeway_s"),
            ([*self.offline, "--audiences", "a", "--set", "max_keys=x"], 1, "max_keys: not a number"),
            (["--issuer", self.live.url, "--audiences", "a"], 1, "allow_http"),
            (["--issuer", "x", "--file", "/nowhere", "--audiences", "a"], 1, "file"),
        ]:
            with self.subTest(arguments=arguments):
                self.assertIn(sentence, self.keyturn("verify", *arguments, status=status, given="x"))

    def test_an_issuer_of_an_agents_configuration_has_its_options(self):
        path = self.write(self.live.settings())
        self.keyturn("verify", "--config", path, "--issuer", self.live.url, "--audiences", "orders",
                     given=self.live.token())
        said = self.keyturn("verify", "--config", path, "--issuer", "https://b.example", "--audiences", "a", status=1)
        self.assertIn("there is no issuer of that name", said)


class Inspecting(Case):
    def test_it_is_loud_and_shows_no_signature(self):
        token = forged({"alg": "ES256"}, {"sub": "mallory", "exp": 1})
        said = self.keyturn("inspect", given=token)
        self.assertEqual(said.count("NOT VERIFIED"), 2)
        self.assertIn('"sub": "mallory"', said)
        self.assertNotIn("AAAA", said)
        told = self.json("inspect", given=token)
        self.assertIs(told["verified"], False)
        self.assertEqual(told["claims"], {"sub": "mallory", "exp": 1})

    def test_nothing_raw_reaches_the_terminal(self):
        evil = "\x1b[2J\x07\u202e\u2028\x00\x7f\x9b"
        said = self.keyturn("inspect", given=forged({"alg": evil, evil: 1}, {"sub": evil}))
        self.assertIn("\\u001b[2J\\u0007\\u202e\\u2028\\u0000\\u007f\\u009b", said)
        for hostile in "\x1b\x07\u202e\u2028\x9b":
            self.assertNotIn(hostile, said)

    def test_dates_that_nobody_means_are_shown_as_they_are(self):
        for date in (-(1 << 63), (1 << 63) - 1, 1 << 62, 1e300, "x", None):
            said = self.keyturn("inspect", given=forged({"alg": "ES256"}, {"exp": date, "nbf": date, "iat": date}))
            self.assertNotIn("says it is", said)

    def test_what_is_no_token_is_told(self):
        for text, sentence in [
            ("", "there is no token"), ("a.b", "not three parts"), ("a.b.c.d.e", "encrypted"),
            ("!.e30.e30", "not Base64url"), ("e30=.e30.e30", "not Base64url"), ("AAAA.e30.e30", "not JSON"),
        ]:
            with self.subTest(text=text):
                self.assertIn(sentence, self.keyturn("inspect", status=1, given=text))


class Explaining(Looking):
    def failed(self, steps):
        return [step["check"] for step in steps if step["outcome"] == "failed"]

    def test_a_good_token_passes_every_check(self):
        steps = self.json("explain", *self.online, "--audiences", "orders", given=self.live.token())
        self.assertGreater(len(steps), 15)
        self.assertEqual({step["outcome"] for step in steps}, {"passed"})

    def test_it_tells_all_that_is_wrong_at_once_and_the_way_out(self):
        token = self.live.token(exp=-3600, aud="billing", typ="jwt", iss="https://other.example")
        steps = self.json("explain", *self.offline, "--audiences", "orders", "--type", "at+jwt", "--rules",
                          '{"kind": "has_word", "claim": "scope", "values": ["pay"]}', status=2, given=token)
        self.assertEqual(self.failed(steps), ["typ", "iss", "exp", "aud", "rules"])
        cures = {step["check"]: step["to_pass"] for step in steps}
        self.assertIn('"billing"', cures["aud"])
        self.assertIn("orders", cures["aud"])
        self.assertIn("1 h ago", cures["exp"])
        self.assertNotIn("unknown", {step["outcome"] for step in steps})

    def test_without_its_key_the_rest_is_unknown(self):
        said = self.keyturn("explain", *self.offline, "--audiences", "orders", status=2,
                            given=self.live.token(kid="gone"))
        self.assertRegex(said, r"FAILED +kid +JWT_KEY_NOT_FOUND")
        self.assertRegex(said, r'kid "gone" for "ES256"; it has rs256-')
        self.assertRegex(said, r"unknown signature")

    def test_a_changed_token_fails_its_signature_alone(self):
        head, body, signature = self.live.token().split(".")
        other = self.live.token().split(".")[2]
        steps = self.json("explain", *self.offline, "--audiences", "orders", status=2,
                          given=f"{head}.{body}.{other}")
        self.assertNotEqual(signature, other)
        self.assertEqual(self.failed(steps), ["signature"])

    def test_hostile_claims_end_in_a_refusal(self):
        dates = [-(1 << 63), (1 << 63) - 1, 1e300, -1, "x"]
        for number, header in enumerate([{}, {"alg": 5}, {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256", "kid": "\x00"}]):
            date = dates[number]
            claims = {"iss": self.live.url, "aud": ["orders", 1], "exp": date, "nbf": dates[-1 - number], "iat": date}
            for command in ("explain", "verify"):
                self.keyturn(command, *self.offline, "--audiences", "orders", status=2, given=forged(header, claims))

    def test_an_outage_is_told_as_one(self):
        token = self.live.token(iss="http://127.0.0.1:9")
        said = self.keyturn("explain", "--issuer", "http://127.0.0.1:9", "--allow-http", "--audiences", "orders",
                            status=3, given=token)
        self.assertRegex(said, r"FAILED +keys +JWKS_KEYS_UNAVAILABLE: .*nobody answers there")


class Keys(Looking):
    def test_it_shows_what_is_published(self):
        published = {key["kid"]: key for key in self.live.get("/jwks.json")["keys"]}
        for source in (self.online, self.offline):
            told = self.json("keys", *source)["keys"]
            self.assertEqual({key["kid"] for key in told}, set(published))
            elliptic = next(key for key in told if key["algorithms"] == ["ES384"])
            self.assertEqual((elliptic["type"], elliptic["bits"]), ("EC P-384", 384))
            for key in told:
                self.assertEqual(len(key["thumbprint"]), 43)
            self.assertRegex(self.keyturn("keys", *source), r"es256-\d+ +EC P-256 +256 +\S{43} +ES256\n")

    def test_watching_tells_of_a_rotation(self):
        issuer = self.issuer()
        watch = self.spawn(KEYTURN, "keys", "--issuer", issuer.url, "--allow-http", "--watch", "--interval", "1",
                           "--json", stdout=subprocess.PIPE)
        published = len(issuer.get("/jwks.json")["keys"])
        first = [json.loads(watch.stdout.readline()) for _ in range(published)]
        self.assertEqual({line["event"] for line in first}, {"published"})
        issuer.rotate()
        then = [json.loads(watch.stdout.readline()) for _ in range(2 * published)]
        self.assertEqual([line["event"] for line in then], ["came"] * published + ["went"] * published)

    def test_an_issuer_that_does_not_answer_is_told(self):
        said = self.keyturn("keys", "--issuer", "http://127.0.0.1:9", "--allow-http", status=1)
        self.assertIn("http://127.0.0.1:9: no keys: ", said)
        self.assertIn("nobody answers there", said)


RSA_1024 = base64url(b"\xc5" + b"\x11" * 126 + b"\x01")
RSA_2048 = base64url(b"\xc5" + b"\x11" * 254 + b"\x01")


class Linting(Looking):
    def rules(self, keys, *options, status=0):
        path = self.file("linted.json", {"keys": keys} if isinstance(keys, list) else keys)
        return sorted({finding["rule"] for finding in self.json("lint", "--file", path, *options, status=status)})

    def test_each_fault_has_its_rule(self):
        first, second = [key for key in self.live.get("/jwks.json")["keys"] if key["alg"] in ("ES256", "ES384")]
        rsa = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "r", "e": "AQAB"}
        without = {name: value for name, value in first.items() if name not in ("kid", "alg", "use")}
        for keys, status, expected in [
            ([first, second], 0, []),
            ([first], 0, ["one-key"]),
            ([first, second | {"kid": first["kid"]}], 2, ["duplicate-kid"]),
            ([first, first | {"kid": "again"}], 0, ["same-key"]),
            ([without, second], 2, ["no-alg", "no-kid", "no-use"]),
            ([first, second, first | {"kid": "p", "d": first["x"]}], 2, ["private-key"]),
            ([first, second, rsa | {"n": RSA_1024}], 2, ["weak-key"]),
            ([first, second, rsa | {"n": RSA_2048}], 0, ["rsa-size"]),
            ([first, second, rsa | {"n": RSA_2048, "e": "Aw"}], 0, ["rsa-size", "small-exponent"]),
            ([first, second, {"kty": "oct", "kid": "s", "k": "AAAA"}], 2, ["secret"]),
            ([first, second, second | {"kid": "u", "use": "enc"}], 0, ["other-use"]),
            ([first, second, second | {"kid": "b", "x": "AAAA"}], 2, ["bad-member"]),
            ([first, second, second | {"kid": "m", "alg": "ES256"}], 2, ["algorithm-mismatch"]),
            ([first, second, rsa | {"n": RSA_2048, "e": "AAEAAQ"}], 0, ["not-base64url", "rsa-size"]),
            ([first, second | {"kid": "\x1b[2J"}], 0, ["strange-kid"]),
            ([], 2, ["no-key-set"]),
            ({"kees": []}, 2, ["no-key-set"]),
        ]:
            with self.subTest(expected=expected):
                self.assertEqual(self.rules(keys, status=status), expected)
        self.assertEqual(self.rules([first], "--strict", status=2), ["one-key"])

    def test_it_is_held_against_an_earlier_set(self):
        first, second, third = self.live.get("/jwks.json")["keys"][6:9]
        before = self.file("before.json", {"keys": [first, second]})
        self.assertEqual(self.rules([second, third], "--before", before), [])
        self.assertIn("no-overlap", self.rules([third], "--before", before, status=2))
        self.assertEqual(self.rules([second, third | {"kid": first["kid"]}], "--before", before, status=2), ["kid-reused"])

    def test_a_live_issuer_is_judged_by_how_it_publishes(self):
        said = self.keyturn("lint", *self.online, status=2)
        for rule in ("no-tls", "no-freshness", "no-validator"):
            self.assertIn(rule, said)
        self.assertRegex(said, r"\n1 error, \d+ warnings?, \d+ notes?\n$")
