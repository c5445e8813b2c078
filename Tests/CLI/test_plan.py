"""`keyturn plan`: its inputs and what it says; PlanRehearsalTests.swift proves the numbers."""

from tool import Case


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
