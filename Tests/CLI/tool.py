"""Runs the tool, an issuer and a gateway for the tests; all of them end with the test."""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
KEYTURN = os.environ["KEYTURN"]
BUILD = Path(os.environ["KEYTURN_BUILD"])
PATIENCE = 30  # seconds for what takes one; a busy machine is not a failure
LINE = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (info|warning|error) [^="]+( \w+="([^"\\]|\\.)*")*$')


class Case(unittest.TestCase):
    """With a folder of its own, and processes that end with it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.store = self.folder / "store"
        self.store.mkdir(mode=0o755)

    def spawn(self, *command, **options):
        process = subprocess.Popen([str(part) for part in command], text=True, **options)
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def keyturn(self, *arguments, status=0, given=b""):
        """What the tool says, on standard output, or on standard error where it fails."""
        done = subprocess.run(
            [KEYTURN, *map(str, arguments)], input=given.encode() if isinstance(given, str) else given,
            capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        octets = done.stdout + done.stderr
        self.assertFalse(re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", octets), octets)
        return (done.stdout or done.stderr).decode()

    def json(self, *arguments, **options):
        return json.loads(self.keyturn(*arguments, "--json", **options))

    def file(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def issuer(self):
        return Issuer(self)

    def write(self, *issuers):
        path = self.folder / "agent.json"
        path.write_text(json.dumps({"issuers": list(issuers)}))
        return path


class Issuer:
    """A live one, on loopback."""

    def __init__(self, case):
        command = [sys.executable, ROOT / "Tests/Issuer/issuer.py", "--parent-pid", os.getpid()]
        self.process = case.spawn(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)  # of clients that were ended in the middle of an answer
        self.url = self.process.stdout.readline().split()[-1]

    def settings(self, **more):
        return {"issuer": self.url, "discovery": "openid", "allow_http": True} | more

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return json.load(answer)

    def token(self, **query):
        return self.get("/token?" + urlencode({"alg": "ES256"} | query))["access_token"]

    def rotate(self):
        request = urllib.request.Request(self.url + "/rotate", method="POST")
        urllib.request.urlopen(request, timeout=PATIENCE).close()


class Agent:
    """`keyturn agent`, as systemd would run it: told when it is ready."""

    def __init__(self, case, config, *, ready=True):
        self.case, self.lines = case, []
        place = case.folder / f"notify.{time.monotonic_ns()}"
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self.notices.close)
        self.notices.bind(str(place))
        self.process = case.spawn(
            KEYTURN, "agent", "--store", case.store, "--config", config,
            stderr=subprocess.PIPE, env=os.environ | {"NOTIFY_SOCKET": str(place)})
        self.said = queue.Queue()
        self.listener = threading.Thread(target=lambda: [self.said.put(line) for line in self.process.stderr])
        self.listener.start()
        case.addCleanup(self.listener.join)  # after the process has been ended
        case.addCleanup(self.process.kill)
        if ready:
            case.assertEqual(self.notice(), "READY=1")

    def notice(self):
        self.notices.settimeout(PATIENCE)
        return self.notices.recv(4096).decode()

    def until(self, text):
        """The first line with this text that has not been read yet."""
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            try:
                line = self.said.get(timeout=left).rstrip("\n")
            except queue.Empty:
                break
            self.case.assertRegex(line, LINE)
            self.lines.append(line)
            if text in line:
                return line
        self.case.fail(f"the agent did not say {text!r}, but: {self.lines}")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)
        self.case.assertIn("RELOADING=1", self.notice())
        self.case.assertEqual(self.notice(), "READY=1")

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.case.assertEqual(self.process.wait(timeout=PATIENCE), 0)


class Gateway:
    """A host that reads the store, writes nothing and fetches nothing; with a file of keys, one that adds up its counts there."""

    def __init__(self, case, issuer, *keys):
        self.process = case.spawn(
            BUILD / "Tests/CLI/reader", case.store, issuer.url, "orders", *keys,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def verify(self, token):
        self.process.stdin.write(token + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def metrics(self):
        """What it tells at its end."""
        return self.process.communicate(timeout=PATIENCE)[0]
