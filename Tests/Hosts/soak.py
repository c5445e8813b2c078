"""What Tests/Hosts/soak runs: an nginx with several workers, whose issuer rotates its keys every minute.

In the first half it is reloaded every five minutes; the workers of the last reload grow old. Every answer is looked at. What
the processes hold is counted once a minute, while no request is open: memory that is allocated and not freed (held.c), memory
that is resident, and descriptors. Only workers that have warmed up are compared: by then an allocator has had room for the
tables of two keys at once, of before and after a rotation, and keeps it.
"""

import argparse
import contextlib
import itertools
import os
import random
import statistics
import struct
import sys
import threading
import time
from pathlib import Path

from cases import Load
from host import BUILD
from nginx import Nginx, OfNginx
from origin import PATIENCE

WORKERS = 4
RATE = 150  # requests a second, of all clients
CLIENTS = 3
PAGE = 4096  # octets, of held.c
RELOAD = 5  # minutes
WARM = 4  # minutes, and so rotations
LEAST = 2 * RELOAD + 2  # minutes: there are three counts of those who have warmed up after a reload
OTHERS = 40  # keys that stay: a thread keeps contexts of 32, so that those of keys that are gone leave at once
MORE_HELD = 512  # octets in a rotation, in the worker that gains least, and in the master
RESULTS = CLIENTS * (9 << 10)  # octets; a worker keeps as many as it ever needed at once, one for each request that waits
MORE_MEMORY = 256 * (1 + WORKERS)  # KiB: allocators keep a little of what was freed, each in its process
MORE_DESCRIPTORS = WORKERS  # each may keep a connection to the issuer open
KINDS = ("good",) * 6 + ("other",) * 2 + ("forged", "none")


class Clients(Load):
    """At a fixed rate, each with a good token of its own, a forged one, or none."""

    def __init__(self, case, gateway, issuer):
        self.locks = [threading.Lock() for _ in range(CLIENTS)]
        self.free, self.numbers = list(self.locks), itertools.count()
        self.good = 0
        super().__init__(case, gateway, issuer, CLIENTS)

    def run(self):
        turn, due = self.free.pop(), time.monotonic()
        for kind in itertools.cycle(KINDS):
            due = max(due + CLIENTS / RATE, time.monotonic() - 1)  # a machine that was busy is not made up for
            if self.stop.wait(max(due - time.monotonic(), 0)):
                return
            with turn:
                self.request(kind)

    def request(self, kind):
        number = next(self.numbers)
        token = {"good": lambda: self.issuer.token(sub=f"user-{number}"),
                 "other": lambda: self.issuer.token(random.choice(self.issuer.others), sub=f"user-{number}"),
                 "forged": self.issuer.forged, "none": lambda: None}[kind]()
        try:
            status = self.gateway.ask(token=token).status
        except Exception as failure:  # whatever it is, a client would have seen it
            return self.failures.append(failure)
        is_good = kind in ("good", "other")
        with self.answered:
            self.count += 1
            self.good += is_good
            if status != (200 if is_good else 401):
                self.refused.append((kind, status))
            self.answered.notify_all()

    @contextlib.contextmanager
    def still(self):
        """Nobody has a request open."""
        with contextlib.ExitStack() as held:
            for turn in self.locks:
                held.enter_context(turn)
            yield


class Watched(Nginx):
    """Each process says in a page what it holds."""

    def __init__(self, case, *arguments, loses="", **options):
        self.page, self.loses = case.folder / "held", loses
        self.page.write_bytes(bytes(PAGE))
        super().__init__(case, *arguments, **options)

    @property
    def environment(self):
        return super().environment | {
            "LD_PRELOAD": str(BUILD / "Tests/Hosts/hosts-held.so"), "HELD": str(self.page), "HELD_LOSES": self.loses}

    def held(self):
        """Octets by process."""
        return dict(struct.iter_unpack("=qq", self.page.read_bytes()[16:]))

    def lose(self, times):
        with self.page.open("r+b") as page:
            page.seek(8)
            page.write(struct.pack("=q", times))


class Soak(OfNginx):
    def live(self, minutes, seconds, loses):
        self.minutes, self.seconds, self.loses = minutes, seconds, loses
        self.rotations = self.reloads = 0
        self.reloaded = 0  # when, in minutes
        self.counts = []  # (resident KiB, descriptors), of those since the first reload who have warmed up
        self.held = []  # by each process, of those since the last
        self.issuer = self.origin()
        self.issuer.others = [self.issuer.make("EdDSA") for _ in range(OTHERS)]
        self.issuer.published += self.issuer.others
        self.gateway = self.start()
        self.began = time.monotonic()
        self.clients = Clients(self, self.gateway, self.issuer)
        for minute in range(minutes):
            if 0 < minute <= minutes // 2 and minute % RELOAD == 0:
                self.reload(minute)
            self.rotate(minute)
            self.look(minute)
            self.wait_until(minute + 1)
        self.clients.join()
        self.judge()

    def start(self):
        fresh = max(1000, 1000 * self.seconds // 12)
        source = {"jwks_url": self.issuer.url + "/jwks.json", "allow_http": True, "min_freshness_ms": fresh,
                  "max_freshness_ms": fresh, "total_burst": 100, "total_interval_ms": 100}
        self.removed_within = 0.9 * fresh / 1000 + 5  # docs/refresh.md
        # Tokens that are known have so little room that it is full after seconds, and memory may stay as it is then.
        gateway = Watched(
            self, "location / { keyturn on; keyturn_audiences orders; keyturn_set_header X-User sub; }"
            "location = /metrics { keyturn_metrics; }",
            f"keyturn_token_cache 262144; keyturn_issuer {self.issuer.url} {{"
            + " ".join(f"{name} {'on' if value is True else value};" for name, value in source.items()) + "}",
            workers=WORKERS, loses=self.loses)
        gateway.wait_for(lambda: gateway.ask(token=self.issuer.token()).status == 200)
        return gateway

    def wait_until(self, minute):
        time.sleep(max(0, self.began + minute * self.seconds - time.monotonic()))

    # ---- What happens

    def rotate(self, minute):
        """Staged: published, then in use, and then the old one is withdrawn and soon refused."""
        old, asked = self.issuer.signer, self.issuer.count
        self.issuer.publish(new := self.issuer.make())
        self.issuer.wait_until_asked(asked + 1)  # so that the first of them has been heard
        self.issuer.before, self.issuer.signer = old, new
        with self.clients.still():  # who signed with the old one has been answered
            self.issuer.withdraw(old)
        latest = time.monotonic() + max(self.removed_within, PATIENCE)
        while self.gateway.ask(token=self.issuer.token(old)).status != 401:
            self.assertLess(time.monotonic(), latest, "a key that was withdrawn is accepted")
            time.sleep(0.05)
        self.rotations += 1
        self.gateway.lose(self.rotations)

    def reload(self, minute):
        old = self.gateway.reload()
        self.gateway.wait_for(lambda: not old & self.gateway.children())
        self.reloads += 1
        self.reloaded, self.held = minute, []

    # ---- What is held

    def look(self, minute):
        self.wait_until(minute + 0.8)
        with self.clients.still():
            processes = [self.gateway.process.pid, *sorted(self.gateway.children())]
            of, memory = self.gateway.held(), [resident(pid) for pid in processes]
            held = [of[pid] for pid in processes]
            files = [fewest_descriptors(pid) for pid in processes]
        print(f"minute {minute + 1}: {self.clients.count} requests, {self.rotations} rotations, {self.reloads} reloads; "
              f"octets {held}, resident KiB {memory}, descriptors {files}", flush=True)
        if self.reloads and minute - self.reloaded >= WARM:
            self.counts.append((sum(memory), sum(files)))
            self.held.append(held)

    def judge(self):
        clients, gateway = self.clients, self.gateway
        (memory, files), (most_memory, most_files) = self.counts[0], map(max, zip(*self.counts, strict=True))
        gained = [octets[-1] - octets[0] for octets in zip(*self.held, strict=True)]
        slopes = [slope(octets) for octets in zip(*self.held, strict=True)]
        wanted = self.minutes * self.seconds * RATE
        print(f"{self.minutes} minutes of {self.seconds} s, {WORKERS} workers: {clients.count} requests, {clients.good} with "
              f"good tokens, {len(clients.refused)} answered wrongly, {len(clients.failures)} lost; {self.rotations} rotations, "
              f"{self.reloads} reloads, {self.issuer.count} fetches. The master and warm workers: octets gained in "
              f"{len(self.held) - 1} rotations {gained}, in one {slopes}; resident KiB first {memory}, at most {most_memory}, "
              f"at last {self.counts[-1][0]}; descriptors {files}, {most_files}, {self.counts[-1][1]}", flush=True)
        self.assertEqual((clients.refused[:9], clients.failures[:9]), ([], []), gateway.said()[-4000:])
        self.assertGreater(clients.count, wanted // 2, "too few requests to say anything")
        self.assertLessEqual(max(slopes[0], min(slopes[1:])), MORE_HELD, "memory leaks")
        self.assertLessEqual(max(gained), RESULTS, "memory leaks in a process")
        self.assertLessEqual(most_memory, memory + MORE_MEMORY, "memory grows")
        self.assertLessEqual(most_files, files + MORE_DESCRIPTORS, "descriptors leak")
        self.assertEqual(gateway.metric("waiters"), 0)
        for word in ("[alert]", "[emerg]", "open socket", "signal 11"):
            self.assertNotIn(word, gateway.errors())


def slope(octets):
    """From count to count: the median over all pairs, which one step does not move."""
    return round(statistics.median((b - a) / (j - i) for (i, a), (j, b) in itertools.combinations(enumerate(octets), 2)))


def resident(pid):
    return int(next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line).split()[1])


def fewest_descriptors(pid):
    """Of a few looks: a client that has hung up is noticed a moment later."""
    def look():
        time.sleep(0.02)
        return len(os.listdir(f"/proc/{pid}/fd"))
    return min(look() for _ in range(10))


def main():
    parser = argparse.ArgumentParser(description="An nginx for long.")
    parser.add_argument("minutes", type=int, nargs="?", default=30, help=f"at least {LEAST}")
    parser.add_argument("seconds", type=int, nargs="?", default=60, help="in a minute, at least 20")
    parser.add_argument("--lose", choices=("memory", "descriptor"), default="",
                        help="1 KiB, or one, in each process at each rotation: it must be noticed")
    of = parser.parse_args()
    if of.minutes < LEAST or of.seconds < 20:
        parser.error("nothing would be compared")
    soak = Soak()
    try:
        soak.setUp()
        soak.live(of.minutes, of.seconds, of.lose)
        return 0
    except AssertionError as wrong:
        print(f"soak: FAILED: {wrong}")
        return 1
    finally:
        soak.doCleanups()


if __name__ == "__main__":
    sys.exit(main())
