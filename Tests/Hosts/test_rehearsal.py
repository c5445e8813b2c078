"""`keyturn rehearse` is honest: real gateways that live through a scenario, in short times, do what the simulation tells of them.

What the machine did, and what was chance, is recorded and replayed: when steps were made, when tokens came, when each fetch
was at the issuer and how long it took. When a gateway asks, what it is given and what it trusts is the simulation's to say."""

import json
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

from host import ROOT
from nginx import OfNginx
from rehearsed import EVERY, Life

TOOL = ROOT / "build/swift/debug/keyturn"
OPTIONS = {
    "min_freshness_ms": 1_000, "max_freshness_ms": 2_000, "hard_limit_ms": 4_000, "backoff_base_ms": 200,
    "backoff_max_ms": 1_000, "backoff_max_unserved_ms": 500, "demand_interval_ms": 1_000, "total_interval_ms": 200,
    "total_burst": 20, "refused_short_ms": 500, "refused_long_ms": 1_000}
FRESH = {"min_freshness_ms": 4_000, "max_freshness_ms": 4_000, "hard_limit_ms": 8_000}
COMMON = {
    "duration": 14, "fresh_share": 0.3, "keys": ["old"], "issuer": {"freshness": "2s", "token_lifetime": 4},
    "verifiers": [{"count": 4, "leeway": 0, "latency": "5ms", "options": OPTIONS}]}
HARD = {"publish": "new", "sign": "new", "retire": "old"}
BACK = {"publish": "old", "sign": "old", "retire": "new"}

# What is added to COMMON, the least number of refusals that both tell of, and how other options make another life of it.
SCENARIOS = {
    "staged": ({"steps": [{"at": 2, "publish": "new"}, {"at": 5, "sign": "new"}, {"at": 10, "retire": "old"}]}, 0, FRESH),
    "hard": ({"steps": [{"at": 5, **HARD}]}, 5, FRESH),
    "outage": ({"outages": [{"of": "issuer", "at": 3, "for": 7}]}, 20, FRESH),
    "flood": ({"steps": [{"at": 6, "publish": "new", "sign": "new"}],
               "attacks": [{"at": 1, "for": 12, "random_kids_per_second": 8}]}, 0, {"demand_interval_ms": 4_000}),
    # Not 5 s apart: for so long (regression_ms) a set that comes back may be an origin's that lags behind.
    "rollback": ({"steps": [{"at": 3, **HARD}, {"at": 9.5, **BACK}]}, 5, FRESH),
    "a slow verifier behind a CDN": ({
        "steps": [{"at": 5, **HARD}], "caches": [{"name": "cdn"}], "issuer": {"freshness": "2s", "token_lifetime": 8},
        "verifiers": [{"name": name, "count": 2, "leeway": 0, "latency": "5ms", "options": OPTIONS | options} for name, options in [
            ("fast", {}), ("slow", {"min_freshness_ms": 3_500, "max_freshness_ms": 3_500, "demand_interval_ms": 6_000})]]}, 5, FRESH),
}


class Told:
    """What the simulation tells of one gateway."""

    def __init__(self, scenario, timeout=60):
        done = subprocess.run([TOOL, "rehearse", "-", "--json"], input=scenario, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode not in (0, 2):
            raise AssertionError(done.stderr)
        told = json.loads(done.stdout)
        self.step = told["course"]["bucket_seconds"]
        self.trusted = {key["name"]: [count > 0 for count in key["trusted_by"]] for key in told["keys"]}
        self.fetches, self.requests = sum(told["fetches"].values()), told["issuer"]["requests"]
        self.missed = told["fetches"]["missing_kid"]

    def trusts(self, key, first, last):
        """True or False; None where it changes in that time."""
        course = self.trusted.get(key, [False])
        places = [min(len(course) - 1, max(0, int(when / self.step))) for when in (first, last)]
        found = set(course[places[0]:places[1] + 1])
        return found.pop() if len(found) == 1 else None

    def settled(self, key):
        """When it has changed its mind about the key for the last time."""
        course = self.trusted.get(key, [False])
        return max((place for place in range(1, len(course)) if course[place] != course[place - 1]), default=0) * self.step


class Comparison:
    """Of a life and a simulation of it: `wrong` says where they differ."""

    def __init__(self, life, options=None):
        self.life, self.wrong = life, []
        numbers = range(len(life.gateways))
        with ThreadPoolExecutor(2) as threads:
            self.told = list(threads.map(lambda number: Told(life.replayed(number, options)), numbers))
        self.held = [self.verdicts(number) for number in numbers]
        self.compare_fetches()
        for key in life.issuer.keys:
            self.compare_convergence(key)

    def verdicts(self, number):
        """But for those within one request's interval of a transition, and what the machine was late by."""
        guard, found = EVERY + self.life.late, []
        for sent, received, key, trusted, is_token in self.life.seen[number]:
            said = self.told[number].trusts(key, sent - guard, received + guard)
            if said is None:
                continue
            found.append((said, is_token))
            if said != trusted:
                self.wrong.append(f"gateway {number} at {sent:.3f}: {key} is {'trusted' if trusted else 'refused'}")
        return found

    def compare_fetches(self):
        length = self.life.scenario["duration"]
        lived = sum(0 < at < length for number in range(len(self.told)) for at, _ in self.life.fetches(number))
        for what, real, told in [
                ("fetches", lived, sum(one.fetches for one in self.told)),
                ("requests at the issuer", self.life.requests(), self.requests())]:
            if abs(real - told) > max(1, 0.1 * real):
                self.wrong.append(f"{what}: {real}, and {told} are told of")

    def requests(self):
        """A cache asks for all."""
        told = [one.requests for one in self.told]
        return max(told) if self.life.scenario.get("caches") else sum(told)

    def compare_convergence(self, key):
        """From the last step before it until the last gateway has settled: between two that were seen, within a tenth."""
        seen = [self.settled(number, key) for number in range(len(self.told))]
        first, last = (max(times) for times in zip(*seen))
        told = max(one.settled(key) for one in self.told)
        slack = 0.1 * max(0, last - max((at for at in self.steps() if at < last), default=0)) + self.life.late
        if not first - slack <= told <= last + slack:
            self.wrong.append(f"{key} settles from {first:.3f} to {last:.3f}, and {told:.3f} is told")

    def steps(self):
        scenario = self.life.scenario
        return [one["at"] + one.get("for", 0) for one in scenario.get("steps", []) + scenario.get("outages", [])]

    def settled(self, number, key):
        """The last time at which it was seen to be other than in the end, and the first after it."""
        seen = [one for one in sorted(self.life.seen[number]) if one[2] == key]
        other = max((place for place, one in enumerate(seen) if one[3] != seen[-1][3]), default=None)
        return (0, 0) if other is None else (seen[other][0], seen[other + 1][1])


@unittest.skipUnless(TOOL.exists(), "the tool is not built: swift build --scratch-path build/swift")
class Honesty(OfNginx):
    def live(self, names, attempts=4):
        """A machine that was late by more than a request's interval has shown little, and is given another chance, thrice."""
        lives = {name: Life(self, COMMON | SCENARIOS[name][0]) for name in names}
        with ThreadPoolExecutor(len(lives)) as threads:
            list(threads.map(Life.live, lives.values()))
        late = [name for name, life in lives.items() if life.late > EVERY]
        return lives | self.live(late, attempts - 1) if late and attempts > 1 else lives

    def test_the_simulation_tells_what_gateways_do(self):
        """All scenarios at once, since gateways mostly wait. A simulation of other verifiers tells something else."""
        lives = self.live(SCENARIOS)
        for name, (_, refusals, other) in SCENARIOS.items():
            with self.subTest(scenario=name):
                compared = Comparison(lives[name])
                self.assertEqual(compared.wrong, [])
                held = sum(compared.held, [])
                self.assertGreater(len(held), 0.5 * sum(map(len, lives[name].seen)))
                self.assertGreater(held.count((True, True)), 50)
                self.assertGreaterEqual(held.count((False, True)), refusals)
                if "attacks" in lives[name].scenario:  # the bounds allow each gateway one a second, and two at first
                    self.assertGreater(sum(one.missed for one in compared.told), 4 * 8)
                self.assertNotEqual(Comparison(lives[name], other).wrong, [])
