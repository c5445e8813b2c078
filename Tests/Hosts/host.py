"""What the tests of every host share: a folder, a process that ends with its test, and asking."""

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from origin import PATIENCE, Origin, Upstream

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("KEYTURN_BUILD", ROOT / "build"))
AS_ROOT = os.geteuid() == 0


class Case(unittest.TestCase):
    """With a folder that the workers' user can reach, and processes that end with it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)

    suppressions = ROOT / "Tests/ABI/memcheck.supp"

    def origin(self):
        return Origin(self)

    def upstream(self):
        return Upstream(self)

    def wait_for(self, what, said):
        latest = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > latest:
                self.fail(f"it did not come so far. {said()[-4000:]}")
            time.sleep(0.01)


class Gateway:
    """A host that runs. One of its own says the `command` and how to `connect`, starts its `process` with the `library` of its
    folder, and may have a `log` for people."""

    log = None

    def __init__(self, case):
        self.case, self.folder = case, case.folder

    # ---- Running

    def command(self, *more):
        raise NotImplementedError

    @property
    def environment(self):
        return os.environ | {"LD_LIBRARY_PATH": str(self.library)}

    def run(self, *more):
        """The command, until it ends: its status, and what it says."""
        done = subprocess.run(self.command(*more), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout

    def stop(self):
        end(self.process)

    def signal(self, name):
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    def children(self):
        pid = self.process.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    # ---- Asking

    def connect(self):
        """An http.client connection, not yet made."""
        raise NotImplementedError

    def connection(self):
        """One that stays."""
        connection = self.connect()
        self.case.addCleanup(connection.close)
        return connection

    def ask(self, path="/", token=None, headers=(), method="GET", on=None):
        connection = on or self.connect()
        try:
            send(connection, path, token, headers, method)
            return Reply(connection.getresponse())
        finally:
            if on is None:
                connection.close()

    def begin(self, path="/", token=None, headers=()):
        """A request whose answer is not waited for."""
        connection = self.connection()
        send(connection, path, token, headers, "GET")
        return connection

    @staticmethod
    def end(connection):
        return Reply(connection.getresponse())

    def listens(self):
        connection = self.connect()
        try:
            connection.connect()
            return True
        except OSError:
            return False
        finally:
            connection.close()

    def wait_for(self, what):
        self.case.wait_for(what, self.said)

    def wait_until_stored(self, kid):
        self.wait_for(lambda: is_stored(self.store, kid))

    # ---- Looking

    def said(self):
        return self.log.read_text() if self.log and self.log.exists() else ""

    def wait_until_said(self, text):
        self.wait_for(lambda: text in self.said())

    @property
    def requests(self):
        """The log of requests: a line each, which begins with the path."""
        return self.folder / "access.log"

    def access(self, path):
        """The fields of the log of requests for a path, once they are written."""
        found = []

        def there():
            written = self.requests.read_text() if self.requests.exists() else ""
            found[:] = [line.split("|") for line in written.splitlines() if line.startswith(path + "|")]
            return found
        self.wait_for(there)
        return found

    def keys(self):
        return self.ask("/keys").json()["issuers"]

    def metric(self, name, **labels):
        """The sum of a metric's series with these labels."""
        return total(self.ask("/metrics").body, f"keyturn_{name}", labels)


def total(page, name, labels):
    series = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page, re.M)
    return sum(float(value) for found, value in series if all(f'{label}="{text}"' in found for label, text in labels.items()))


class Reply:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read().decode()

    def json(self):
        return json.loads(self.body)

    def all(self, name):
        """Every value of a header that the upstream says it has got."""
        return [value for field, value in self.json()["headers"] if field.lower() == name.lower()]


def send(connection, path, token, headers, method):
    connection.putrequest(method, path)
    if token is not None:
        connection.putheader("Authorization", f"Bearer {token}")
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


# ---- Processes


def end(process):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Stranger:
    """A process that is not this one's child, but its to end."""

    def __init__(self, pid):
        self.pid, self.handle = pid, os.pidfd_open(pid)

    def poll(self):
        return 0 if self.handle is None or select.select([self.handle], [], [], 0)[0] else None

    def wait(self, timeout=None):
        if self.poll() is None and not select.select([self.handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None
        return 0

    def send_signal(self, number):
        signal.pidfd_send_signal(self.handle, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


# ---- Files


def directives(options):
    """The name and the words of each line that says these options, where a configuration has lines: a rule has its own."""
    for name, value in (options or {}).items():
        for each in value if name == "require" else [value]:
            yield name, "on" if each is True else " ".join(each) if isinstance(each, (list, tuple)) else str(each)


def install(folder, module=None):
    """The libraries, and a host's module, where the workers' user may read them."""
    place = folder / "lib"
    if not place.exists():
        place.mkdir()
        for name in ("libkeyturn.so.0", "libkeyturn-fetch.so.0", "Tests/Hosts/hosts-revoke", *([module] if module else [])):
            shutil.copy(BUILD / name, place)
    return place


def revoke(folder, store, issuer, kid):
    """As an operator would, beside the gateway: as the user whose store it is."""
    library = install(folder)
    command = [library / "hosts-revoke", store, issuer.url, kid]
    subprocess.run(command, env=os.environ | {"LD_LIBRARY_PATH": str(library)}, stdout=subprocess.DEVNULL,
                   user=os.stat(store).st_uid if AS_ROOT else None, check=True, timeout=PATIENCE)


def is_stored(store, kid):
    """A fetch is answered before it is on the disk."""
    return any(kid.encode() in file.read_bytes() for file in Path(store).glob("*.keys"))
