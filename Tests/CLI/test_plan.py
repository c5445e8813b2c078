"""`keyturn plan`: its inputs and what it says; RotationTests.swift proves the numbers."""

from tool import Case


class Planning(Case):
    def at(self, *arguments, **options):
        return {step["name"]: step["at_seconds"] for step in self.json("plan", *arguments, **options)["steps"]}

    def test_a_plan_has_dates_and_reasons(self):
        said = self.keyturn("plan", "--token-lifetime", "1h", "--freshness", "5m", "--start", "2026-12-01T08:00:00Z")
        self.assertIn("2026-12-01T08:12:00Z   sign", said)
        self.assertIn("propagation 1 min + freshness, in 1 cache(s) 5 min + slowest verifier 5 min", said)
        self.assertEqual(self.at("--token-lifetime", "1h", "--freshness", "5m"),
                         {"publish": 0, "sign": 720, "retire": 4_410, "gone": 5_130, "cut off": 90_870})

    def test_an_emergency_says_what_is_exposed(self):
        steps = self.at("--token-lifetime", "1h", "--freshness", "5m", "--emergency")
        self.assertEqual(steps, {"revoke": 0, "replace": 0, "served": 360, "exposed": 720, "cut off": 86_460})

    def test_the_issuer_and_a_gateway_are_asked(self):
        issuer = self.issuer()
        live = ["--token-lifetime", "1h", "--issuer", issuer.url, "--allow-http"]
        self.assertEqual(self.json("plan", *live)["inputs"]["freshness"], 300)  # it says nothing of it
        metrics = self.file("metrics", "".join(
            f'keyturn_key_set_{name}_seconds{{issuer="{issuer.url}"}} {value}\n' for name, value in (("age", 100), ("fresh", 800))))
        told = self.json("plan", *live, "--metrics", metrics)["inputs"]
        self.assertEqual((told["freshness"], told["slowest_verifier"]), (300, 900))

    def test_what_cannot_be_safe_is_refused(self):
        for options, status, sentence in [
            (["--freshness", "2d"], 2, "NOT SAFE: the hard limit"),
            (["--freshness", "5m", "--skew", "5m"], 2, "NOT SAFE: clocks go wrong"),
            (["--freshness", "5m", "--within", "1h"], 2, "and may take 1 h"),
            (["--freshness", "5m", "--leeway", "1000d"], 1, "leeway: not between"),
            (["--freshness", "soon"], 64, "soon"),
            (["--issuer", "http://127.0.0.1:9", "--allow-http"], 1, "nobody answers there"),
            (["--metrics", "/nowhere"], 64, "--metrics needs --issuer"),
        ]:
            with self.subTest(options=options):
                self.assertIn(sentence, self.keyturn("plan", "--token-lifetime", "1h", *options, status=status))
