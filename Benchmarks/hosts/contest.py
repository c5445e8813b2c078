"""What a request costs in a gateway that verifies its token, in one way or another: what the scripts beside this one share.

Each contender is a gateway of its own, and all run at once. In each round wrk asks them by turns, with one connection and with
64, with one token and with 1,000. The table has the median of requests per second, and of the time below which 99 of 100
requests are answered; and what Keyturn's throughput is to each other's. Less is a missed goal.
"""

import argparse
import http.client
import re
import statistics
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Hosts"))
from apache import free_port  # noqa: E402
from origin import PATIENCE  # noqa: E402

TOKENS = 1000
LOADS = [(connections, tokens) for connections in (1, 64) for tokens in (1, TOKENS)]
UNITS = {"us": 0.001, "ms": 1, "s": 1000}
LUA = """
local headers, turn = {}, 0
for token in io.lines("%s") do headers[#headers + 1] = { ["Authorization"] = "Bearer " .. token } end
request = function()
    turn = turn %% #headers + 1
    return wrk.format("GET", "/", headers[turn])
end
"""


class Contest(unittest.TestCase):
    """Mixed into a host's case. `contenders` gives names and gateways, which have a `port`, Keyturn's first."""
    seconds, rounds = 2, 5

    def runTest(self):
        issuer = self.origin()
        issuer.signer = issuer.make("RS256")
        issuer.published = [issuer.signer]
        tokens = [issuer.token(jti=f"token-{number}", exp=issuer.now() + 3600) for number in range(TOKENS)]
        contenders = list(self.contenders(issuer))
        for name, gateway in contenders:
            self.agree(name, gateway, issuer, tokens[0])
        scripts = {count: self.script(tokens[:count]) for count in (1, TOKENS)}
        taken = {(name, load): [] for name, _ in contenders for load in LOADS}
        for _ in range(self.rounds):
            for load in LOADS:
                for name, gateway in contenders:
                    taken[name, load].append(measure(gateway, load[0], scripts[load[1]], self.seconds))
        type(self).missed = table([name for name, _ in contenders], taken)

    def agree(self, name, gateway, issuer, token):
        """They all do the same work."""
        for what, asked, status in [("a good token", token, 200), ("a forged one", issuer.forged(), 401),
                                    ("an expired one", issuer.token(exp=1), 401), ("one for others", issuer.token(aud="x"), 401),
                                    ("one from others", issuer.token(iss="https://x.example"), 401)]:
            got = gateway.ask(token=asked).status
            self.assertIn(got, (status, 403) if status == 401 else (200,), f"{name}: {what}. {gateway.said()[-2000:]}")

    def script(self, tokens):
        path = self.place / f"tokens-{len(tokens)}"
        path.write_text("\n".join(tokens) + "\n")
        script = path.with_suffix(".lua")
        script.write_text(LUA % path)
        return script

    def setUp(self):
        super().setUp()
        self.place = self.folder

    def room(self, name):
        """Gateways that run at once have a folder each."""
        self.folder = self.place / name
        (self.folder / "html").mkdir(parents=True)
        (self.folder / "html" / "index.html").write_text("welcome")
        return self.folder


class AtPort:
    """Mixed into a host's gateway: where wrk can reach it."""

    def __init__(self, *arguments, port, **options):
        self.port = port
        super().__init__(*arguments, **options)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)


def measure(gateway, connections, script, seconds):
    said = subprocess.run(
        ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency", "--script", script,
         f"http://127.0.0.1:{gateway.port}/"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"requests were refused:\n{said}\n{gateway.said()[-2000:]}")
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), float(number) * UNITS[unit]


def table(names, taken):
    """Prints it, and returns how many goals are missed."""
    missed = 0
    print(f"| {'':34} | connections | tokens | requests/s | p99 ms | Keyturn's to it | goal |\n|---|--:|--:|--:|--:|--:|---|")
    for load in LOADS:
        rates = {name: statistics.median(rate for rate, _ in taken[name, load]) for name in names}
        for name in names:
            tail = statistics.median(late for _, late in taken[name, load])
            ratio, goal = rates[names[0]] / rates[name], ""
            if name != names[0]:
                goal = ">= 1.00  " + ("ok" if ratio >= 1 else "FAILED")
                missed += ratio < 1
            print(f"| {name:34} | {load[0]:11} | {load[1]:6} | {rates[name]:10.0f} | {tail:6.2f} | {ratio:15.2f} | {goal} |")
    print(f"{missed} goals missed")
    return missed


def main(case, said):
    options = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=Contest.seconds, help="for each figure of a round")
    options.add_argument("--rounds", type=int, default=Contest.rounds)
    Contest.seconds, Contest.rounds = vars(options.parse_args()).values()
    passed = unittest.TextTestRunner(verbosity=0).run(case()).wasSuccessful()
    raise SystemExit(2 if not passed else case.missed > 0)
