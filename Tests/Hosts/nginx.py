"""Runs nginx for the tests, with the module and a folder of its own; it ends with the test."""

import http.client
import json
import os
import pwd
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
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
MODULE = "ngx_http_keyturn_module.so"

TEMPLATE = """
{user}
load_module {library}/{module};
worker_processes {workers};
daemon {daemon};
{process}
pid {folder}/nginx.pid;
lock_file {folder}/nginx.lock;
error_log {folder}/error.log info;
worker_shutdown_timeout 20s;
events {{ worker_connections 512; }}
http {{
    log_format verdicts '$request_uri|$status|$keyturn_status|$keyturn_error|$keyturn_issuer|$keyturn_kid|'
                        '$keyturn_key_age|$keyturn_wait_ms|$keyturn_token_digest|$jwt_claim_sub';
    access_log {folder}/access.log verdicts;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {store}
    {http}
    {servers}
}}
"""


class Case(unittest.TestCase):
    """With a folder that the workers' user can reach, and processes that end with it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)
        (self.folder / "html").mkdir()
        (self.folder / "html" / "index.html").write_text("welcome")

    suppressions = ROOT / "Tests/ABI/memcheck.supp"

    def origin(self):
        return Origin(self)

    def upstream(self):
        return Upstream(self)

    def nginx(self, *arguments, **options):
        return Nginx(self, *arguments, **options)


class Reply:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read().decode()

    def json(self):
        return json.loads(self.body)

    def all(self, name):
        """Every value of a header that the upstream says it has got."""
        return [value for field, value in self.json()["headers"] if field.lower() == name.lower()]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Nginx:
    """A master and its workers, behind a socket in the case's folder."""

    def __init__(self, case, server="", http="", *, servers=None, issuer=None, workers=1, store=None, start=True,
                 alone=False, daemon=False):
        self.case, self.folder = case, case.folder
        self.socket, self.log = self.folder / "nginx.sock", self.folder / "error.log"
        self.library = install(self.folder)
        self.workers, self.alone, self.daemon = workers, alone, daemon
        self.store = f"keyturn_store {store or self.folder}/keyturn;" if store != "off" else "keyturn_store off;"
        self.issuer = issuer
        self.configure(server, http, servers)
        if start:
            self.start()

    def configure(self, server="", http="", servers=None):
        issuers = [self.issuer] if isinstance(self.issuer, Origin) else self.issuer or []
        blocks = "".join(
            f"keyturn_issuer {issuer.url} {{ jwks_url {issuer.url}/jwks.json; allow_http on; }}\n" for issuer in issuers)
        servers = servers or f"server {{ listen unix:{self.socket}; root {self.folder}/html; {server} }}"
        self.text = TEMPLATE.format(
            user="user www-data;" if self.as_root else "", library=self.library, module=MODULE, folder=self.folder,
            workers=self.workers, daemon="on" if self.daemon else "off", process="master_process off;" if self.alone else "", store=self.store,
            http=blocks + http, servers=servers)
        self.configuration = self.folder / "nginx.conf"
        self.configuration.write_text(self.text)

    def command(self, *more):
        return [NGINX, "-e", str(self.log), "-c", str(self.configuration), *more]

    @property
    def environment(self):
        return os.environ | {"LD_LIBRARY_PATH": str(self.library)}

    def start(self, *before):
        self.process = subprocess.Popen([*before, *self.command()], env=self.environment, stderr=subprocess.DEVNULL)
        if self.daemon:
            self.case.assertEqual(self.process.wait(PATIENCE), 0, self.said())
            self.process = Stranger(self.read_pid())
        self.case.addCleanup(self.stop)
        self.wait_for(lambda: self.listens() and (self.alone or len(self.children()) == self.workers))

    def read_pid(self):
        path = self.folder / "nginx.pid"
        self.wait_for(lambda: path.exists() and path.read_text().strip())
        return int(path.read_text())

    def stop(self):
        end(self.process)

    def signal(self, name):
        self.process.send_signal(getattr(signal, f"SIG{name}"))

    def test(self):
        """`nginx -t`: what it says, and its status."""
        done = subprocess.run(
            self.command("-t"), env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stderr

    def reload(self):
        before = self.children()
        self.signal("HUP")
        self.wait_for(lambda: len(self.children() - before) == self.workers)
        return before

    def children(self):
        return self.children_of(self.process.pid)

    @staticmethod
    def children_of(pid):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    as_root = os.geteuid() == 0

    @property
    def workers_user(self):
        return pwd.getpwnam("www-data").pw_uid if self.as_root else os.geteuid()

    def wait_until_stored(self, kid):
        """A fetch is answered before it is on the disk."""
        self.wait_for(lambda: any(kid.encode() in file.read_bytes() for file in (self.folder / "keyturn").glob("*.keys")))

    def revoke(self, issuer, kid):
        """As an operator would, beside nginx."""
        command = [self.library / "hosts-revoke", self.folder / "keyturn", issuer.url, kid]
        subprocess.run(command, env=self.environment, user=self.workers_user, check=True, timeout=PATIENCE,
                       stdout=subprocess.DEVNULL)

    # ---- Asking

    def listens(self):
        self.case.assertIsNone(self.process.poll(), self.said())
        connection = UnixConnection(self.socket)
        try:
            connection.connect()
            return True
        except OSError:
            return False
        finally:
            connection.close()

    def connection(self):
        """One that stays."""
        connection = UnixConnection(self.socket)
        self.case.addCleanup(connection.close)
        return connection

    def ask(self, path="/", token=None, headers=(), method="GET", on=None):
        connection = on or UnixConnection(self.socket)
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

    # ---- Looking

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    def errors(self):
        """Lines that are worse than a warning."""
        return "\n".join(line for line in self.said().splitlines() if "[info]" not in line and "[notice]" not in line)

    def wait_until_said(self, text):
        self.wait_for(lambda: text in self.said())

    def wait_for(self, what):
        latest = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > latest:
                self.case.fail(f"it did not come so far. {self.said()[-4000:]}")
            time.sleep(0.01)

    def access(self, path):
        """The access log's fields for a path, once they are written."""
        lines = []

        def there():
            lines[:] = [line.split("|") for line in (self.folder / "access.log").read_text().splitlines()
                        if line.startswith(path + "|")]
            return lines
        self.wait_for(there)
        return lines

    def keys(self):
        return self.ask("/keys").json()["issuers"]

    def metric(self, name, **labels):
        """The sum of a metric's series with these labels."""
        series = re.findall(rf"^keyturn_{name}(?:{{(.*)}})? (\S+)$", self.ask("/metrics").body, re.M)
        return sum(float(value) for found, value in series
                   if all(f'{label}="{text}"' in found for label, text in labels.items()))


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


def send(connection, path, token, headers, method):
    connection.putrequest(method, path)
    if token is not None:
        connection.putheader("Authorization", f"Bearer {token}")
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()


def install(folder):
    """Module and libraries where the workers' user may read them."""
    place = folder / "lib"
    if not place.exists():
        place.mkdir()
        for name in ("libkeyturn.so.0", "libkeyturn-fetch.so.0", "Tests/Hosts/hosts-revoke", f"examples/nginx/objs/{MODULE}"):
            shutil.copy(BUILD / name, place)
    return place
