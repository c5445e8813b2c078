"""examples/hosting: each program with a live issuer, through its life."""

import re
import signal
import socket
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "Hosts"))

from cases import Load  # noqa: E402
from host import BUILD, Case, Gateway, end  # noqa: E402
from origin import PATIENCE  # noqa: E402


class Reply:
    def __init__(self, text):
        status, _, self.subject = text.decode().partition(" ")
        self.status = int(status)


class Program(Gateway):
    """One of them, behind its socket."""

    def __init__(self, case, issuer, before=()):
        super().__init__(case)
        self.path = self.folder / "socket"
        store = self.folder / "store"
        store.mkdir(mode=0o700)
        command = [*before, BUILD / "examples/hosting" / case.program, self.path, issuer.url, f"{issuer.url}/jwks.json"]
        self.process = subprocess.Popen([*command, store] if case.program == "workers" else command)
        case.addCleanup(end, self.process)
        self.wait_for(self.path.exists)

    def begin(self, token):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.case.addCleanup(client.close)
        client.settimeout(PATIENCE)
        client.bind("")  # to some name
        client.sendto(token.encode(), str(self.path))
        return client

    def ask(self, token=""):
        client = self.begin(token)
        try:
            return self.end(client)
        finally:
            client.close()

    @staticmethod
    def end(client):
        return Reply(client.recv(1024))

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def finish(self):
        self.process.terminate()
        self.case.assertEqual(self.process.wait(PATIENCE), 0)

    def children(self):
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def threads(self):
        """Their names."""
        return sorted(path.read_text().strip() for path in Path(f"/proc/{self.process.pid}/task").glob("*/comm"))


ROOT = Path(__file__).resolve().parents[2]


class Page(unittest.TestCase):
    def test_its_code_is_that_of_the_programs(self):
        sources = "".join(path.read_text() for path in (ROOT / "examples/hosting").glob("*.[ch]"))
        blocks = re.findall(r"^```c\n(.*?)^```$", (ROOT / "docs/hosting.md").read_text(), re.M | re.S)
        self.assertGreater(len(blocks), 0)
        for block in blocks:
            self.assertIn(block, sources)


class Life:
    def setUp(self):
        super().setUp()
        self.issuer = self.origin()

    def test_tokens_are_judged(self):
        program = Program(self, self.issuer)
        for token, status, subject in [
            (self.issuer.token(), 200, "alice"), ("", 401, ""), ("a.b.c", 401, ""), (self.issuer.forged(), 401, ""),
            (self.issuer.token(exp=1), 401, ""), (self.issuer.token(sub="bob"), 200, "bob"),
        ]:
            reply = program.ask(token)
            self.assertEqual((reply.status, reply.subject), (status, subject))
        program.finish()

    def test_who_comes_with_a_new_key_waits_for_one_fetch(self):
        program = Program(self, self.issuer)
        known = self.issuer.token()
        self.assertEqual(program.ask(known).status, 200)
        self.issuer.free.clear()
        self.issuer.rotate()
        asked = self.issuer.count
        crowd = [program.begin(self.issuer.token()) for _ in range(8)]
        self.issuer.wait_until_asked(asked)
        for _ in range(8):
            self.assertEqual(program.ask(known).status, 200)
        self.issuer.free.set()
        self.assertEqual([program.end(one).status for one in crowd], [200] * 8)
        self.assertEqual(self.issuer.count, asked + 1)
        program.finish()

    def test_an_outage_is_no_bad_token(self):
        self.issuer.up = False
        program = Program(self, self.issuer)
        self.assertEqual(program.ask(self.issuer.token()).status, 503)
        program.finish()

    def test_a_reload_refuses_nobody(self):
        program = Program(self, self.issuer)
        self.assertEqual(program.ask(self.issuer.token()).status, 200)
        load = Load(self, program, self.issuer)
        for _ in range(3):
            program.reload()
            load.go_on()
        load.end()
        program.finish()

    def test_who_is_parked_is_answered_before_it_ends(self):
        program = Program(self, self.issuer)
        self.assertEqual(program.ask(self.issuer.token()).status, 200)
        self.issuer.free.clear()
        self.issuer.rotate()
        asked = self.issuer.count
        parked = [program.begin(self.issuer.token()) for _ in range(4)]
        self.issuer.wait_until_asked(asked)
        self.wait_until_taken(program)
        program.process.terminate()
        self.issuer.free.set()
        self.assertEqual([program.end(one).status for one in parked], [200] * 4)
        self.assertEqual(program.process.wait(PATIENCE), 0)

    def wait_until_taken(self, program):
        """All that was sent: a later request, of a known key, has been answered."""
        self.assertEqual(program.ask("a.b.c").status, 401)

    def test_what_it_says_of_its_threads_and_processes_is_so(self):
        program = Program(self, self.issuer)
        self.assertEqual(program.ask(self.issuer.token()).status, 200)
        self.look(program)
        program.finish()


class Workers(Life, Case):
    program = "workers"

    def look(self, program):
        self.assertEqual(len(program.children()), 2)
        self.assertEqual(program.threads(), ["workers"])  # the master has none
        self.assertEqual(self.issuer.count, 1)  # for both workers


class Loops(Life, Case):
    program = "loops"

    def look(self, program):
        self.assertEqual([name for name in program.threads() if name == "loops"], ["loops"] * 3)
        self.assertIn("keyturn", program.threads())


class Threads(Life, Case):
    program = "threads"

    def look(self, program):
        self.assertIn("keyturn", program.threads())


class Polling(Life, Case):
    program = "polling"

    def look(self, program):
        self.assertEqual(program.threads(), ["polling"])
