"""`keyturn plan`: its inputs and what it says; PlanRehearsalTests.swift proves the numbers."""

import base64
import json
import time
from datetime import datetime, timezone

from pages import ISSUER, key_metrics as metrics
from tool import Agent, Case, Gateway


def seconds(date):
    return int(datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())


class Planning(Case):
    def at(self, *arguments, **options):
        return {step["name"]: step["at_seconds"] for step in self.json("plan", *arguments, **options)["steps"]}

    def test_a_plan_has_dates_and_reasons(self):
        said = self.keyturn("plan", "--token-lifetime", "1h", "--freshness", "5m", "--start", "2026-12-01T08:00:00Z")
        self.assertIn("2026-12-01T08:07:30Z   sign", said)
        self.assertIn("propagation 1 min + freshness, in 1 cache(s) 5 min + between two fetches that tokens may ask for 30 s", said)
        self.assertEqual(self.at("--token-lifetime", "1h", "--freshness", "5m"),
                         {"publish": 0, "sign": 450, "retire": 4_140, "gone": 4_830, "cut off": 90_600})

    def test_an_emergency_says_what_is_exposed(self):
        steps = self.at("--token-lifetime", "1h", "--freshness", "5m", "--emergency")
        self.assertEqual(steps, {"revoke": 0, "replace": 0, "served": 450, "exposed": 690, "cut off": 86_460})

    def test_the_issuer_and_a_gateway_are_asked(self):
        issuer = self.issuer()
        live = ["--token-lifetime", "1h", "--issuer", issuer.url, "--allow-http"]
        self.assertEqual(self.json("plan", *live)["inputs"]["freshness"], 300)  # it says nothing of it
        metrics = self.file("metrics", "".join(
            f'keyturn_key_set_{name}_seconds{{issuer="{issuer.url}"}} {value}\n' for name, value in (("age", 100), ("fresh", 800))))
        told = self.json("plan", *live, "--metrics", metrics)["inputs"]
        self.assertEqual((told["freshness"], told["slowest_verifier"]), (300, 810))

    def test_what_lies_between_is_reckoned_with(self):
        base = ["--token-lifetime", "1h", "--freshness", "5m"]
        for options, sign, spread in [
            (["--caches", "0"], 60 + 30 + 60, 60 + 270 + 60),
            (["--caches", "3", "--age-told"], 60 + 900 + 30 + 60, 60 + 900 + 54 + 60),
            (["--no-fetch-on-miss"], 690, 690),
            (["--slowest-verifier", "10s"], 60 + 300 + 10 + 60, 60 + 300 + 10 + 60),
        ]:
            with self.subTest(options=options):
                at = self.at(*base, *options)
                self.assertEqual((at["sign"], at["gone"] - at["retire"]), (sign, spread))

    def test_what_cannot_be_safe_is_refused(self):
        for options, status, sentence in [
            (["--freshness", "5m", "--hard-limit", "4m"], 2, "NOT SAFE: the hard limit"),
            (["--freshness", "5m", "--skew", "5m"], 2, "NOT SAFE: clocks go wrong"),
            (["--freshness", "5m", "--within", "1h"], 2, "and may take 1 h"),
            (["--freshness", "5m", "--leeway", "1000d"], 1, "leeway: not between"),
            (["--freshness", "soon"], 64, "soon"),
            (["--issuer", "http://127.0.0.1:9", "--allow-http"], 1, "nobody answers there"),
            (["--metrics", "/nowhere"], 64, "--metrics needs --issuer"),
        ]:
            with self.subTest(options=options):
                self.assertIn(sentence, self.keyturn("plan", "--token-lifetime", "1h", *options, status=status))


class Retiring(Case):
    """When an old key may go. The lifetime of its tokens takes an hour, propagation 1 min, leeway 30 s and skew 10 s."""

    def setUp(self):
        super().setUp()
        self.now = int(time.time())

    def options(self, *pages, kid="old", issuer=ISSUER):
        paths = [self.file(f"gateway{place}", page) for place, page in enumerate(pages)]
        return ["plan", "--token-lifetime", "1h", "--freshness", "5m", "--skew", "10s", "--issuer", issuer, "--retire", kid,
                *[part for path in paths for part in ("--metrics", path)]]

    def retire(self, *pages, more=(), **options):
        """Its moment, and the whole document."""
        status = options.pop("status", 0)
        told = self.json(*self.options(*pages, **options), *more, status=status)
        dates = {step["name"]: seconds(step["at"]) for step in told["steps"]}
        self.assertEqual(list(dates), ["retire", "gone", "cut off"])
        self.assertEqual(dates["retire"], seconds(told["retirement"]["at"]))
        self.assertEqual(dates["gone"] - dates["retire"], 690)
        return dates["retire"], told

    def assert_by_lifetime(self, *pages, why, **options):
        moment, told = self.retire(*pages, **options)
        self.assertEqual(told["retirement"]["by"], "token lifetime")
        self.assertAlmostEqual(moment, self.now + 60 + 3_600 + 30 + 10, delta=60)
        self.assertIn(why, "\n".join(told["warnings"]))
        return told

    def test_it_may_go_when_the_latest_token_that_any_gateway_has_accepted_is_over(self):
        early, late = self.now + 300, self.now + 1_200
        for pages in ([metrics(("old", late), ("new", late + 900))],
                      [metrics(("old", early)), metrics(("old", late)), metrics(("old", 0))],
                      [metrics(("old", late), ("old", early))],
                      [metrics(("old", late)).replace("\n", " 1711111111000\n")]):
            with self.subTest(pages=pages):
                moment, told = self.retire(*pages)
                self.assertEqual((moment, told["retirement"]["by"]), (late + 30 + 10, "metrics"))
                self.assertEqual([gateway["gapless"] for gateway in told["retirement"]["gateways"]], [True] * len(pages))
                self.assertIn("nobody has shown yet", told["warnings"][0])
        said = self.keyturn(*self.options(metrics(("old", 1_700_000_000))))
        self.assertRegex(said, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ   retire   take the old key out of the set\n")
        self.assertIn("latest exp 2023-11-14T22:13:20Z + leeway 30 s + skew 10 s", said)

    def test_what_is_over_may_go_now(self):
        for latest, why in ((self.now - 600, "is alive then: latest exp"), (0, "no gateway has accepted a JWT")):
            moment, told = self.retire(metrics(("old", latest)))
            self.assertAlmostEqual(moment, self.now, delta=60)
            self.assertIn(why, told["steps"][0]["why"])

    def test_one_gateway_that_has_not_counted_all_makes_it_go_by_the_lifetime(self):
        good, soon = metrics(("old", self.now + 300)), self.now + 600
        for bad, why in [
            (metrics(("old", soon), gapless=0), "not every token of the key was counted"),
            (metrics(("old", soon), sums=0), "what one process has counted since its start"),
            (metrics(("new", soon)), "it does not know the key"),
            (metrics(), "without per_key"),
            (metrics(("old", soon), gapless=""), "not whole"),
            (metrics(("old", ""),), "not whole"),
            (metrics(("old", "NaN")), "not whole"),
            (metrics(("old", -1)), "not whole"),
            (metrics(("old", soon), ("old", "")), "not whole"),
            (metrics(("old", soon)).rsplit("keyturn_key_gapless", 1)[0], "not whole"),
            (metrics(("old", soon)).replace("keyturn_store_sums 1\n", ""), "what one process has counted"),
        ]:
            with self.subTest(why=why, bad=bad):
                told = self.assert_by_lifetime(good, bad, why="/gateway1 says too little: ")
                self.assertIn(why, told["warnings"][0])
                self.assertEqual([gateway["gapless"] for gateway in told["retirement"]["gateways"]], [True, False])
        self.assertIn("mind: by the token lifetime, since", self.keyturn(*self.options(metrics(("old", soon), gapless=0))))

    def test_the_lifetime_counts_from_when_it_has_signed_last(self):
        gap = metrics(("old", self.now + 60), gapless=0)
        start = datetime.fromtimestamp(self.now - 1_800, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        moment, told = self.retire(gap, more=["--start", start])
        self.assertEqual((moment, told["steps"][0]["at_seconds"]), (self.now + 1_900, 3_700))
        moment, told = self.retire(metrics(("old", self.now + 300)), more=["--start", start])
        self.assertEqual((moment, told["steps"][0]["at_seconds"]), (self.now + 340, 2_140))

    def test_a_token_that_outlives_the_plan_makes_it_unsafe(self):
        long = self.now + 86_400
        moment, told = self.retire(metrics(("old", long), gapless=0), status=2)
        self.assertLess(moment, long)
        self.assertIn("see --token-lifetime", told["dangers"][0])
        for gapless in (0, 1):
            told = self.retire(metrics(("old", 2**63 - 1), gapless=gapless), status=2)[1]
            self.assertIn("has no exp: it is never over", told["dangers"][0])
            self.assertEqual(told["retirement"]["by"], "token lifetime")

    def test_what_cannot_be_told_is_said(self):
        good = self.options(metrics(("old", self.now)))
        for options, status, sentence in [
            ([*good, "--metrics", self.file("other", metrics(issuer="https://other"))], 1, "/other: the metrics say nothing of this"),
            ([*good, "--metrics", "/nowhere"], 1, "/nowhere: No such file"),
            ([*good, "--metrics", self.file("word", metrics(("old", "soon")))], 1, "/word: its metrics cannot be read: line 5 is no"),
            ([*good, "--metrics", self.file("cut", metrics(("old", 7))[:-9])], 1, "/cut: its metrics are cut off, or none"),
            ([*good, "--emergency"], 64, "--retire needs"),
            ([*good, "--start", "2999-01-01T00:00:00Z"], 64, "which is to come"),
            (self.options(), 64, "--retire needs"),
            (self.options(metrics(), kid=""), 64, "--retire needs"),
        ]:
            with self.subTest(options=options):
                self.assertIn(sentence, self.keyturn(*options, status=status))

    def test_real_gateways_are_believed_if_they_add_up_what_they_count(self):
        live = self.issuer()
        Agent(self, self.write(live.settings()))
        token = live.token()
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        reader = Gateway(self, live)
        self.assertEqual(reader.verify(token), "JWT_OK")
        self.store = self.folder / "own"
        self.store.mkdir()
        counting = Gateway(self, live, self.file("keys", live.get("/jwks.json")))
        self.assertEqual(counting.verify(token), "JWT_OK")
        known = {"kid": header["kid"], "issuer": live.url}
        fresh = "".join(f'keyturn_key_set_{name}_seconds{{issuer="{live.url}"}} 9\n' for name in ("age", "fresh"))
        page = counting.metrics()
        moment, told = self.retire(page + fresh, **known)
        self.assertEqual((moment, told["retirement"]["by"]), (claims["exp"] + 30 + 10, "metrics"))
        self.assert_by_lifetime(page + fresh, reader.metrics(), why="/gateway1 says too little: it tells what one process", **known)
