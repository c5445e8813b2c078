"""`keyturn rehearse` is honest: real gateways that live through a scenario, in short times, do what the simulation has told."""

import copy
import json
import random
import subprocess
import time
import unittest

from host import ROOT
from nginx import OfNginx
from origin import Origin, Server

TOOL = ROOT / "build/swift/debug/keyturn"
GATEWAYS, EVERY = 4, 0.1  # seconds between two requests of one gateway
LIFETIME, FRESH = 10, 0.3
SEEDS = range(1, 11)
GUARD = 0.5  # seconds around each transition: a request interval, and what a busy machine is late by
OPTIONS = {
    "min_freshness_ms": 1_000, "max_freshness_ms": 2_000, "hard_limit_ms": 4_000, "backoff_base_ms": 200,
    "backoff_max_ms": 1_000, "backoff_max_unserved_ms": 500, "demand_interval_ms": 1_000, "total_interval_ms": 200,
    "total_burst": 20, "refused_short_ms": 500, "refused_long_ms": 1_000}


class Timed(Origin):
    """Whose answers are fresh for two seconds, and which notes when it was asked."""

    def __init__(self, case):
        self.times = []
        super().__init__(case)

    def answer(self, handler):
        self.times.append(time.monotonic())
        if not self.up:
            return Server.reply(handler, {}, 503)
        Server.reply(handler, self.jwks(), fields=[("Cache-Control", "max-age=2")])


@unittest.skipUnless(TOOL.exists(), "the tool is not built: swift build --scratch-path build/swift")
class Honesty(OfNginx):
    def live(self, length, acts):
        """Each request as (time, key, accepted), and when the issuer was asked; in seconds since the start. `acts` happen in their time."""
        origin = Timed(self)
        old, new = origin.signer, origin.make()
        options = " ".join(f"{name} {value};" for name, value in OPTIONS.items())
        gateways = []
        for number in range(GATEWAYS):
            place = copy.copy(self)  # its cleanups are this case's
            place.folder = self.folder / str(number)
            (place.folder / "html").mkdir(parents=True)
            (place.folder / "html/index.html").write_text("welcome")
            gateways.append(place.nginx(
                "location / { keyturn on; keyturn_audiences orders; }",
                f"keyturn_issuer {origin.url} {{ jwks_url {origin.url}/jwks.json; allow_http on; {options} }}", store="off"))
        for gateway in gateways:
            self.assertEqual(gateway.ask(token=origin.token()).status, 200)
        chance, seen, signed = random.Random(1), [], length
        for at, what in acts:
            if what == "rotate":
                signed = at
        connections = [gateway.connection() for gateway in gateways]
        start = time.monotonic()
        due = list(acts)
        for turn in range(int(length / EVERY * GATEWAYS)):
            when = turn * EVERY / GATEWAYS
            time.sleep(max(0, start + when - time.monotonic()))
            now = time.monotonic() - start
            while due and due[0][0] <= now:
                what = due.pop(0)[1]
                if what == "rotate":
                    origin.published = [new]
                else:
                    origin.up = what == "up"
            age = 0 if chance.random() < FRESH else chance.random() * LIFETIME
            key = 1 if now - age >= signed else 0
            token = origin.token([old, new][key], exp=origin.now() + 600)
            reply = gateways[turn % GATEWAYS].ask(token=token, on=connections[turn % GATEWAYS])
            seen.append((now, key, reply.status == 200))
        return seen, [at - start for at in origin.times if 0 <= at - start < length]

    def rehearse(self, length, more, seed):
        scenario = {
            "duration": length, "seed": seed, "fresh_share": FRESH, "keys": ["old"],
            "issuer": {"freshness": "2s", "token_lifetime": LIFETIME},
            "verifiers": [{"count": GATEWAYS, "requests_per_second": 1 / EVERY, "leeway": 0, "latency": "5ms", "options": OPTIONS}]}
        done = subprocess.run([TOOL, "rehearse", "-", "--json"], input=json.dumps(scenario | more), capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)  # something is refused
        return json.loads(done.stdout)

    def agree(self, length, acts, more, other):
        """The rehearsals and the requests, which agree; the rehearsals of another scenario do not."""
        told = [self.rehearse(length, more, seed) for seed in SEEDS]
        seen, asked = self.live(length, acts)
        pairs = self.pairs(told, seen, length)
        self.assertGreater(len(pairs), len(seen) * 0.6)
        self.assertGreater(sum(not said for said, _ in pairs), 50)
        self.assertGreater(sum(said for said, _ in pairs), 50)
        self.assertEqual([one for said, one in pairs if said != one[2]], [])
        simulated = sum(one["issuer"]["requests"] for one in told) / len(told)
        self.assertLess(abs(len(asked) - simulated), 0.1 * simulated, (len(asked), simulated))
        others = self.pairs([self.rehearse(length, other, seed) for seed in SEEDS], seen, length)
        self.assertGreater(sum(said != one[2] for said, one in others), 20)
        return told, seen

    def pairs(self, told, seen, length):
        foretold = [(self.foretold(told, *one[:2], length, told[0]["course"]["bucket_seconds"]), one) for one in seen]
        return [(said, one) for said, one in foretold if said is not None]

    def assert_among(self, found, simulated):
        self.assertLess(min(simulated) - GUARD, found)
        self.assertLess(found, max(simulated) + GUARD)

    @staticmethod
    def foretold(told, when, key, length, step):
        """Whether it is accepted; None within the guard band, or where chance decides."""
        said = set()
        for one in told:
            trusted = one["keys"][key]["trusted_by"] if key < len(one["keys"]) else []
            first, last = (int(max(0, min(length, at)) / step) for at in (when - GUARD, when + GUARD))
            said.update(trusted[first:last + 1])
        return {frozenset([0]): False, frozenset([GATEWAYS]): True}.get(frozenset(said))

    def test_a_hard_rotation(self):
        def steps(at):
            return {"steps": [{"at": at, "publish": "new", "sign": "new", "retire": "old"}]}
        told, seen = self.agree(15, [(6, "rotate")], steps(6), steps(9))
        first = [next(when for when, key, accepted in seen[place::GATEWAYS] if key == 1 and accepted) for place in range(GATEWAYS)]
        self.assert_among(max(first) - 6, [one["keys"][1]["reached_after"] for one in told])
        self.assertTrue(all(accepted for _, key, accepted in seen if key == 1))  # those that waited, too

    def test_an_outage_beyond_the_hard_limit(self):
        def outage(length):
            return {"outages": [{"of": "issuer", "at": 4, "for": length}]}
        told, seen = self.agree(16, [(4, "down"), (12, "up")], outage(8), outage(11))
        again = [min(when for when, _, accepted in seen[place::GATEWAYS] if accepted and when > 10) for place in range(GATEWAYS)]
        self.assert_among(max(again), [
            max(place for place, count in enumerate(one["keys"][0]["trusted_by"]) if count < GATEWAYS) * one["course"]["bucket_seconds"]
            for one in told])
