"""`keyturn rehearse`: scenarios and plans as its users write them. RehearsalTests.swift looks into it."""

import json
import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree as xml

from tool import PATIENCE, ROOT, Case

CHROMIUM = shutil.which("chromium")
EXAMPLES = sorted((ROOT / "examples/rehearsal").glob("*.yaml"))
SMALL = {"duration": "1h", "keys": ["old"], "verifiers": [{"count": 20, "requests_per_second": 10}]}


class Rehearsing(Case):
    def rehearse(self, scenario, *options, **expected):
        return self.json("rehearse", self.file("scenario.json", scenario), *options, **expected)

    def test_the_examples_end_as_they_say(self):
        self.assertGreaterEqual(len(EXAMPLES), 3)
        for example in EXAMPLES:
            with self.subTest(example=example.name):
                is_safe = "nobody is refused" in example.read_text().split("\n")[0]
                told = self.json("rehearse", example, status=0 if is_safe else 2)
                self.assertEqual((told["safe"], told["tokens"]["refused"] == 0), (is_safe, is_safe))
                said = self.keyturn("rehearse", example, status=0 if is_safe else 2)
                self.assertEqual("NOT SAFE" in said, not is_safe)
                self.assertIn("at the issuer", said)

    def test_one_seed_gives_one_rehearsal(self):
        steps = {"steps": [{"at": "10m", "publish": "new", "sign": "new", "retire": "old"}]}
        first, again, other = (self.rehearse(SMALL | steps, "--seed", seed, status=2) for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertNotEqual(first["course"], other["course"])

    def test_a_key_that_signs_at_once_is_fetched_for_its_first_token(self):
        """The old key's tokens are still accepted; those of the new one wait, behind no cache."""
        told = self.rehearse(SMALL | {"steps": [{"at": "10m", "publish": "new", "sign": "new"}]})
        self.assertGreater(told["tokens"]["waited"], 0)
        self.assertEqual(told["fetches"]["missing_kid"], 20)

    def test_a_plan_is_rehearsed_and_holds(self):
        for options in ([], ["--caches", "3"], ["--caches", "2", "--age-told"], ["--no-fetch-on-miss"], ["--caches", "0"]):
            with self.subTest(options=options):
                plan = self.keyturn("plan", "--token-lifetime", "10m", "--freshness", "5m", "--json", *options)
                told = self.json("rehearse", "-", "--verifiers", "50", given=plan)
                self.assertGreater(told["tokens"]["good"], 10_000)
                self.assertEqual(told["verifiers"], 54)
                self.assertTrue(all(key["reached_after"] or key["left_after"] for key in told["keys"]))

    def test_an_emergency_refuses_what_it_must(self):
        plan = self.keyturn("plan", "--token-lifetime", "10m", "--freshness", "5m", "--emergency", "--json")
        told = self.json("rehearse", "-", "--verifiers", "50", given=plan, status=2)
        self.assertEqual({one["key"] for one in told["refusals"]}, {"old", "new"})
        self.assertEqual(told["tokens"]["accepted_late"], 0)

    def test_what_is_wrong_in_a_scenario_is_named_with_its_line(self):
        for text, where in [
            ('{\n "duration": "1h",\n "keys": ["old"]\n "verifiers": []\n}', "4: while parsing a flow mapping: did not find expected ',' or '}'"),
            ('{\n "keys": ["old"],\n "verifiers": [\n  { "count": 0 }\n ]\n}', "4: verifiers[0].count: not a whole number from 1"),
            ('{\n "keys": ["old"],\n "verifiers": [ {} ],\n "verifires": []\n}', "4: verifires: no such field"),
            ('{ "keys": ["old"],\n "keys": ["new"] }', '1: keys: there twice, first here'),
            ('{\n "verifiers": [ {} ] }', "1: keys: required"),
            ('{ "keys": ["old"] }', "1: verifiers: required"),
            ('{ "keys": ["old"], "verifiers": [ {} ],\n "steps": [\n { "at": "soon",\n   "sign": "old" } ] }', "3: steps[0].at: not a time"),
            ('{ "keys": ["old"], "verifiers": [ {} ],\n "steps": [\n { "at": "1h",\n   "sign": "new" } ] }', "4: steps[0].sign: no key of this name"),
            ('{ "keys": ["old"], "verifiers": [ {} ], "duration": "1h",\n "steps": [ { "at": "2h", "sign": "old" } ] }',
             "2: steps[0].at: not from 0 s to 1 h"),
            ('{ "keys": ["old"], "verifiers": [\n { "options": { "min_freshness_ms": 5000, "max_freshness_ms": 4000 } } ] }',
             "2: verifiers[0].options.min_freshness_ms: It is larger than max_freshness_ms."),
            ('{ "keys": ["old"], "verifiers": [\n { "options": { "demand_brst": 1 } } ] }', "2: verifiers[0].options.demand_brst: no such option"),
            ('{ "keys": ["old"], "caches": [ { "name": "cdn" } ], "verifiers": [\n { "through": ["cdm"] } ] }',
             "2: verifiers[0].through: not names of caches"),
            ('{ "keys": ["old"], "verifiers": [ {} ],\n "outages": [ { "of": "cdn" } ] }', '2: outages[0].of: neither "issuer"'),
            ('{ "keys": ["old"], "verifiers": [ { "count": 100000 },\n { "count": 1 } ] }', "1: verifiers: more than 100000"),
            ('[]', "1: not an object"), ('', "1: a value is missing"), ('{} {}', "1: did not find expected <document start>"),
            ('{\n "keys', "2: while scanning a quoted scalar: found unexpected end"), ("[" * 40 + "]" * 40, "1: nested too deeply"),
            ("[" * 5_000 + "]" * 5_000, "1: while parsing: Maximum nesting level"), ('{ "inputs": {} }', "1: inputs.token_lifetime: required"),
        ]:
            with self.subTest(text=text):
                path = self.file("scenario.json", text)
                said = self.keyturn("rehearse", path, status=1)
                self.assertTrue(said.startswith(f"keyturn: {path}:{where}"), said)
        self.assertIn("/nowhere: ", self.keyturn("rehearse", "/nowhere", status=1))
        self.assertIn("--verifiers is for plans", self.keyturn("rehearse", EXAMPLES[0], "--verifiers", "5", status=1))

    def test_what_is_wrong_in_yaml_is_named_with_its_line_too(self):
        whole = "keys: [old]\nverifiers:\n  - count: 1\n"
        aliases = "".join(f"a{place}: &a{place} [{', '.join([f'*a{place - 1}'] * 9)}]\n" for place in range(1, 10))
        for text, where in [
            ("keys: [old]\nverifiers:\n  - count: 0\n", "3: verifiers[0].count: not a whole number from 1"),
            (whole + "verifires: []\n", "4: verifires: no such field"),
            (whole + "keys: [new]\n", "1: keys: there twice, first here"),
            (whole + "steps:\n  # a comment\n  - at: 1h\n    sign: new\n", "7: steps[0].sign: no key of this name"),
            (whole + "steps:\n  - { at: 1:30, sign: old }\n", "5: steps[0].at: not a time"),
            (whole + "worst_case: yes\n", "4: worst_case: neither true nor false"),
            (whole + "duration: 0x10\n", "4: duration: not a time"),
            ("keys: [on, off, 2026-10]\nverifiers: [{}]\nattacks: [ on: edge ]\n", "3: attacks[0].on: no verifiers of this name"),
            ("keys: [2026]\n", "1: keys[0]: not a name"), (whole + "? [a]\n: b\n", "4: a name that is no text"),
            (whole + "  duration: 1h\n", "4: while parsing a block"), (whole + "\tduration: 1h\n", "4: while scanning"), (whole + 'title: "a\n', "5: while scanning a quoted scalar"),
            (whole + "---\nkeys: [old]\n", "4: expected a single document"), (whole + "title: *a\n", "4: found undefined alias"),
            ("a0: &a0 1\n" + aliases, "1: too many values"), ("# nothing\n", "1: a value is missing"), (whole + "title: a\0\n", "4: control characters"),
            (whole + "verifiers: \n", "2: verifiers: there twice"), ("keys:\nverifiers:\n", "1: keys: not a list"),
            (whole + 'title: "\\ud83d\\ude00"\n', "4: while parsing a quoted scalar: found invalid Unicode"),
        ]:
            with self.subTest(text=text[:200]):
                path = self.file("scenario.yaml", text)
                said = self.keyturn("rehearse", path, status=1)
                self.assertTrue(said.startswith(f"keyturn: {path}:{where}"), said)
        path = self.folder / "latin.yaml"
        path.write_bytes(b"title: \xe9\n")
        self.assertIn(f"{path}:1: not UTF-8", self.keyturn("rehearse", path, status=1))

    def test_yaml_says_what_json_says(self):
        steps = [{"at": "10m", "publish": "new", "sign": "new", "retire": "old"}]
        written = "# as people write it\nduration: 1h\nkeys:\n  - old\nverifiers:\n  - count: 20\n    requests_per_second: 10\n" \
            "steps:\n  - at: 10m\n    publish: new\n    sign: 'new'\n    retire: \"old\"\n"
        told = self.json("rehearse", self.file("scenario.yaml", written), status=2)
        self.assertGreater(told["tokens"]["refused"], 0)
        self.assertEqual(told, self.rehearse(SMALL | {"steps": steps}, status=2))
        self.assertEqual(told, self.json("rehearse", self.file("indented", json.dumps(SMALL | {"steps": steps}, indent="\t")), status=2))

    def test_a_record_is_lived_through_again(self):
        """Jitter is what it was: the fetch at 250 s, of the 225 to 270 s that the schedule allows; one at 100 s is not its own."""
        def told(fetches, tokens=(), **expected):
            group = {"recorded": {"fetches": [{"at": at, "took": "20ms"} for at in fetches], "tokens": list(tokens)}, "requests_per_second": 10}
            steps = [{"at": 240, "publish": "new"}, {"at": 1_000, "sign": "new"}]
            return self.rehearse({"duration": 1_400, "keys": ["old"], "steps": steps, "verifiers": [group]}, **expected)
        for fetches, least, most in [([0, 250], 10, 11), ([0, 230, 485], 245, 246), ([0, 100], 205, 275)]:
            with self.subTest(fetches=fetches):
                after = told(fetches)["keys"][1]["reached_after"]
                self.assertTrue(least <= after <= most, after)
        asked = told([0, 250], [{"at": 1, "key": "new"}, {"at": 2}, {"at": 3}, {"at": 4}], status=2)  # two are what a bucket has
        self.assertEqual(asked["fetches"]["missing_kid"], 2)
        for wrong, where in [({"count": 2, "recorded": {}}, "verifiers[0].recorded: of one verifier"), ({"recorded": {"fetches": [{}]}},
                             "verifiers[0].recorded.fetches[0].at: required"), ({"recorded": {"tokens": [{"at": 1, "key": "x"}]}},
                             "verifiers[0].recorded.tokens[0].key: no key"), ({"recorded": {"fetch": []}}, "verifiers[0].recorded.fetch: no such")]:
            self.assertIn(where, self.keyturn("rehearse", self.file("scenario.json", SMALL | {"verifiers": [wrong]}), status=1))
        for cache in ({"nodes": 2, "asked": [1]}, {"asked": [True]}):
            self.assertIn("caches[0].asked", self.keyturn("rehearse", self.file("scenario.json", SMALL | {"caches": [cache]}), status=1))

    def test_extremes_are_refused_or_lived_through(self):
        self.assertIn("tokens in all", self.keyturn("rehearse", self.file("scenario.json", SMALL | {
            "verifiers": [{"count": 100_000, "requests_per_second": 1_000_000}]}), status=1))
        self.assertIn("--seed: larger", self.keyturn("rehearse", EXAMPLES[0], "--seed", 2**64 - 1, status=64))
        for more in ({"attacks": [{"random_kids_per_second": 1e-300}]}, {"attacks": [{"random_kids_per_second": 1e6}]},
                     {"duration": 1}, {"fresh_share": 1}, {"fresh_share": 0}, {"outages": [{"for": 0}]}, {"seed": 2**53},
                     {"issuer": {"freshness": "31d", "token_lifetime": "31d", "propagation": "1d", "discovery": True}},
                     {"issuer": {"freshness": 1, "token_lifetime": "1ms"}, "duration": "5m"},
                     {"caches": [{"name": str(number)} for number in range(8)], "worst_case": True},
                     {"verifiers": [{"requests_per_second": 1e-300}, {"requests_per_second": 0, "cold": True}]},
                     {"verifiers": [{"latency": "0ms"}, {"latency": "4s"}]}):
            with self.subTest(more=more):
                told = self.rehearse(SMALL | {"steps": [{"at": 1, "publish": "new"}]} | more)
                self.assertGreater(told["fetches"]["schedule"] + told["fetches"]["start"] + told["duration_seconds"], 0)
        plan = self.keyturn("plan", "--token-lifetime", "1h", "--freshness", "1m", "--caches", "16", "--json")
        self.assertTrue(self.json("rehearse", "-", "--verifiers", "10", given=plan)["safe"])

    def test_names_that_a_terminal_would_obey_are_escaped(self):
        told = self.keyturn("rehearse", self.file("scenario.json", SMALL | {"title": "a\u001b[31m", "keys": ["k\u202e"]}))
        self.assertIn("a\\u001b[31m", told)
        self.assertIn("k\\u202e", told)


class Pictures(Case):
    def page(self, scenario, status=0):
        page = self.folder / "page.html"
        self.keyturn("rehearse", scenario, "--html", page, status=status)
        return page

    def test_a_picture_needs_nothing_from_elsewhere_and_says_it_in_words_too(self):
        for example in EXAMPLES:
            with self.subTest(example=example.name):
                is_safe = example.name != "hard.yaml"
                page = self.page(example, status=0 if is_safe else 2).read_text()
                self.assertNotRegex(page, r"(src|href)=|url\((?!#)|@import|<script|https?:")
                drawn = xml.fromstring(re.search(r"<svg.*</svg>", page, re.S)[0])
                points = [float(number) for line in drawn.iter("polyline") for number in re.split("[ ,]", line.get("points"))]
                self.assertGreater(len(points), 20)
                width, height = map(float, drawn.get("viewBox").split()[2:])
                for part in drawn.iter():
                    for name, most in [("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)]:
                        self.assertTrue(0 <= float(part.get(name, 0)) <= most, part.attrib)
                shades = set(re.findall(r"#[0-9a-f]+", xml.tostring(drawn).decode())) - {"#hatch", "#dots"}
                self.assertTrue(all(len(set(shade[1:])) == 1 for shade in shades), shades)  # grey, all of them
                for line in self.keyturn("rehearse", example, status=0 if is_safe else 2).splitlines():
                    self.assertIn(line, page)

    def test_names_are_no_markup(self):
        page = self.page(self.file("scenario.json", SMALL | {"title": "<b>&\"\u202e", "keys": ["<i>"]})).read_text()
        self.assertNotRegex(page, "<b>|<i>|\u202e")
        self.assertIn("&lt;b&gt;&amp;&quot;\\u202e", page)

    def test_where_it_cannot_be_written(self):
        said = self.keyturn("rehearse", self.file("scenario.json", SMALL), "--html", self.folder / "no/page.html", status=1)
        self.assertIn("cannot be written", said)
        self.assertTrue(self.keyturn("rehearse", self.file("scenario.json", SMALL), "--html", "-").startswith("<!DOCTYPE html>"))

    @unittest.skipUnless(CHROMIUM, "Debian's chromium is not installed")
    def test_a_browser_shows_it_without_a_network(self):
        page = self.page(EXAMPLES[0], status=2)
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder}/profile",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1100,1100"]
        picture = self.folder / "page.png"
        shown = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=2 * PATIENCE, check=True)
        self.assertIn("NOT SAFE", shown.stdout)
        self.assertIn("</svg>", shown.stdout)
        subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=2 * PATIENCE, check=True)
        self.assertEqual(picture.read_bytes()[:4], b"\x89PNG")
        self.assertGreater(picture.stat().st_size, 20_000)  # an empty page is a tenth of it
