"""A scenario of `keyturn rehearse` lived through by real gateways, and what of it the simulation is told to live through again."""

import copy
import http.client
import json
import math
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from origin import Origin, Server

EVERY = 0.2  # seconds between two requests of one gateway
MAX_AGE = 2


def text(seconds):
    """As a scenario's file has it; rounded down, so that what was later stays later."""
    return f"{math.floor(seconds * 1_000)}ms"


class Record:
    """When each gateway, or the cache, has asked here, and when it was answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = []  # [who, at, landed]

    def note(self, handler, answer):
        with self.lock:
            one = [handler.path.split("/")[1], time.monotonic(), math.inf]
            self.asked.append(one)
            say = answer()
        say()
        one[2] = time.monotonic()


class Issuer(Origin):
    """Does the steps and has the outages of a scenario. /WHO/jwks.json is its key set, noted for who asks."""

    def __init__(self, case, scenario):
        self.record = Record()
        super().__init__(case)
        names = [*scenario["keys"], *(step["publish"] for step in scenario.get("steps", []) if "publish" in step)]
        self.keys = {"old": self.signer} | {name: self.make() for name in dict.fromkeys(names) if name != "old"}

    def answer(self, handler):
        def answer():
            if not self.up:
                return lambda: Server.reply(handler, {}, 503)
            keys = self.jwks()
            return lambda: Server.reply(handler, keys, fields=[("Cache-Control", f"max-age={MAX_AGE}")])
        self.record.note(handler, answer)

    def act(self, what):
        """When it was done."""
        with self.record.lock:
            for act, name in what:
                if act == "publish":
                    self.publish(self.keys[name])
                elif act == "retire":
                    self.withdraw(self.keys[name])
                elif act in ("up", "down"):
                    self.up = act == "up"
            return time.monotonic()


class Edge(Server):
    """A cache before the issuer, which tells Age, and which others ask all the time."""

    def __init__(self, case, issuer):
        self.record, self.issuer = Record(), issuer
        self.lock, self.held, self.from_ = threading.Lock(), None, -math.inf
        self.over = threading.Event()
        super().__init__(case)
        others = threading.Thread(target=self.be_asked)
        others.start()
        case.addCleanup(others.join)
        case.addCleanup(self.over.set)

    def be_asked(self):
        while not self.over.wait(0.01):
            self.take()

    def take(self):
        with self.lock:
            if time.monotonic() >= self.from_ + MAX_AGE:
                connection = http.client.HTTPConnection("127.0.0.1", self.issuer.port, timeout=60)
                connection.request("GET", "/edge/jwks.json")
                self.held = connection.getresponse().read().decode()
                connection.close()
                self.from_ = self.issuer.record.asked[-1][1]
            return self.held, int(time.monotonic() - self.from_)

    def answer(self, handler):
        def answer():
            body, age = self.take()
            return lambda: Server.reply(handler, body, fields=[("Cache-Control", f"max-age={MAX_AGE}"), ("Age", str(age))])
        self.record.note(handler, answer)


class Life:
    """Of the gateways of one scenario, in its own time. `seen` has for each of them what showed whether it trusts a key:
    (sent, received, key, is trusted, is a token's answer); all times are seconds from the start."""

    def __init__(self, case, scenario):
        self.scenario = scenario
        self.issuer = Issuer(case, scenario)
        self.front = Edge(case, self.issuer) if scenario.get("caches") else self.issuer
        self.gateways = [self.gateway(case, number, group) for number, group in enumerate(self.groups())]
        self.seen = [[] for _ in self.gateways]
        self.tokens = [[] for _ in self.gateways]  # (sent, key or None)
        self.late = 0  # by how much this machine has been, at most

    def groups(self):
        return [group for group in self.scenario["verifiers"] for _ in range(group["count"])]

    def gateway(self, case, number, group):
        place = copy.copy(case)  # its cleanups are the case's
        place.folder = case.folder / f"{self.issuer.port}-{number}"
        (place.folder / "html").mkdir(parents=True)
        (place.folder / "html/index.html").write_text("welcome")
        options = " ".join(f"{name} {value};" for name, value in group["options"].items())
        gateway = place.nginx(
            "location / { keyturn on; keyturn_audiences orders; } location = /keys { keyturn_keys; }",
            f"keyturn_issuer {self.issuer.url} {{ jwks_url {self.front.url}/{number}/jwks.json; allow_http on; {options} }}", store="off")
        case.assertEqual(gateway.ask(token=self.issuer.token()).status, 200)
        return gateway, gateway.connection()

    # ---- In its time

    def live(self):
        self.start = time.monotonic()
        with ThreadPoolExecutor(len(self.gateways) + 1) as threads:
            all_of_it = [threads.submit(self.step), *(threads.submit(self.drive, number) for number in range(len(self.gateways)))]
            for one in all_of_it:
                one.result()
        return self

    def until(self, when):
        time.sleep(max(0, self.start + when - time.monotonic()))
        now = time.monotonic() - self.start
        self.late = max(self.late, now - when)
        return now

    def step(self):
        """The scenario's steps and outages. `done` is the scenario as it was."""
        self.done = copy.deepcopy(self.scenario)
        acts = [(step["at"], step, [(act, name) for act, name in step.items() if act != "at"]) for step in self.done.get("steps", [])]
        for outage in self.done.get("outages", []):
            end = outage["at"] + outage.pop("for")
            acts += [(outage["at"], outage, [("down", "")]), (end, outage, [("up", "")])]
        for when, what, names in sorted(acts, key=lambda act: act[0]):
            self.until(when)
            at = self.issuer.act(names) - self.start
            if names[0][0] == "up":
                what["for"] = f"{math.floor(at * 1_000) - int(what['at'][:-2])}ms"
            else:
                what["at"] = text(at)

    def drive(self, number):
        """One gateway's requests: tokens, attackers' tokens, and questions for its keys, in their order."""
        chance = random.Random(number)
        length, offset = self.scenario["duration"], number * EVERY / len(self.gateways)
        due = [(offset + turn * EVERY, self.send) for turn in range(int(length / EVERY))]
        due += [(at + EVERY / 2, self.look) for at, _ in due]
        for attack in self.scenario.get("attacks", []):
            count = int(attack["for"] * attack["random_kids_per_second"])
            due += [(attack["at"] + offset + turn / attack["random_kids_per_second"], self.attack) for turn in range(count)]
        for when, what in sorted(due, key=lambda one: one[0]):
            if when < length:
                what(number, self.until(when), chance)

    def ask(self, number, path="/", token=None):
        gateway, connection = self.gateways[number]
        reply = gateway.ask(path, token=token, on=connection)
        return reply, time.monotonic() - self.start

    def send(self, number, now, chance):
        age = 0 if chance.random() < self.scenario["fresh_share"] else chance.random() * self.scenario["issuer"]["token_lifetime"]
        name = self.signer(now - age)
        self.tokens[number].append((now, name))
        reply, then = self.ask(number, token=self.issuer.token(self.issuer.keys[name]))
        self.seen[number].append((now, then, name, reply.status == 200, True))

    def signer(self, when):
        signs = [(step["at"], step["sign"]) for step in self.scenario.get("steps", []) if "sign" in step]
        return next((name for at, name in reversed(signs) if at <= when), self.scenario["keys"][0])

    def attack(self, number, now, chance):
        self.tokens[number].append((now, None))
        self.ask(number, token=self.issuer.token(header={"kid": f"random-{chance.getrandbits(64)}"}))

    def look(self, number, now, _):
        reply, then = self.ask(number, "/keys")
        self.late = max(self.late, then - now)
        if not self.scenario.get("outages"):  # it tells keys that are there, although they are too old to be served
            kids = {key["kid"] for key in reply.json()["issuers"][0]["keys"]}
            self.seen[number] += [(now, then, name, key.kid in kids, False) for name, key in self.issuer.keys.items()]

    # ---- What it had

    def fetches(self, number):
        return [(at - self.start, landed - self.start) for who, at, landed in self.front.record.asked
                if who == str(number) and landed < math.inf]

    def requests(self):
        """At the issuer, in the time of the scenario."""
        return sum(0 <= at - self.start < self.scenario["duration"] for _, at, _ in self.issuer.record.asked)

    def replayed(self, number, options=None):
        """The scenario of one gateway alone, as it was for that one."""
        group = {name: value for name, value in self.groups()[number].items() if name != "count"}
        group["recorded"] = {
            "fetches": [{"at": text(at), "took": text(landed - at)} for at, landed in self.fetches(number)],
            "tokens": [{"at": text(at)} | ({"key": name} if name else {}) for at, name in self.tokens[number]]}
        group["options"] = group["options"] | (options or {})
        scenario = self.done | {"verifiers": [group | {"requests_per_second": 1 / EVERY}]}
        if scenario.get("caches"):
            asked = [text(at - self.start) for who, at, _ in self.issuer.record.asked if who == "edge"]
            scenario["caches"] = [self.scenario["caches"][0] | {"asked": asked}]
        return json.dumps(scenario)
