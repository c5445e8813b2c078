"""Runs HAProxy for the tests as Debian does, chrooted, as its own user and with threads; it ends with the test."""

import os
import shutil
import socket
import subprocess

from agent import USER, Agent
from host import AS_ROOT, ROOT, Case, Gateway, UnixConnection, install
from origin import PATIENCE

HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
MODULE = os.environ.get("KEYTURN_HAPROXY_MODULE", "examples/haproxy/keyturn_haproxy.so")
SCRIPT = os.environ.get("KEYTURN_HAPROXY_SCRIPT", ROOT / "examples/haproxy/keyturn.lua")
THREADS = 4

TEMPLATE = """
global
    {jail}
    nbthread {threads}
    log stderr format raw local0
    lua-prepend-path {library}/?.so cpath
    lua-prepend-path {library}/?.lua
    {load} {settings}
    {more}
defaults
    mode http
    log stdout format raw local0
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    errorfile 403 /etc/haproxy/errors/403.http
    errorfile 503 /etc/haproxy/errors/503.http
    log-format "%HP|%ST|%[var(txn.keyturn.status)]|%[var(txn.keyturn.error)]|%[var(txn.keyturn.issuer)]|%[var(txn.keyturn.kid)]|%[var(txn.keyturn.digest)]"
frontend gateway
    bind unix@{socket} mode 666
    http-after-response set-header X-Worker %pid
    {rules}
backend upstream
    server one {upstream}
"""

# What README.md shows.
DECIDE = """
    http-request deny deny_status 400 if { var(txn.keyturn.http) -m int 400 }
    http-request deny deny_status 401 hdr WWW-Authenticate %[var(txn.keyturn.challenge)] if { var(txn.keyturn.http) -m int 401 }
    http-request deny deny_status 403 hdr WWW-Authenticate %[var(txn.keyturn.challenge)] if { var(txn.keyturn.http) -m int 403 }
    http-request deny deny_status 503 hdr Retry-After %[var(txn.keyturn.retry_after)] if { var(txn.keyturn.http) -m int 503 }
    http-request deny deny_status 500 unless { var(txn.keyturn.http) -m int 200 }
"""
PROTECTED = "http-request lua.keyturn.orders" + DECIDE
WELCOME = "http-request return status 200 content-type text/plain string welcome"


class OfHAProxy(Case):
    def haproxy(self, *arguments, **options):
        return HAProxy(self, *arguments, **options)

    def host(self, issuer, source=None, policy=None, store=True):
        """As cases.py has it."""
        return self.haproxy({"orders": {"audiences": "orders"} | (policy or {})}, [of(issuer, source)])

    def places(self, policies, *issuers):
        """As cases.py has it."""
        rules = "".join(f"http-request lua.keyturn.{name} if {{ path /{name} }}\n    " for name in policies)
        return self.haproxy(policies, [of(issuer) for issuer in issuers], rules + DECIDE + WELCOME)


def of(issuer, source=None):
    """An issuer's options."""
    source = {"issuer": issuer.url} | (source or {})
    return source if "file" in source else {"jwks_url": f"{issuer.url}/jwks.json", "allow_http": True} | source


def lua(value):
    """As it stands in a Lua table."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f'["{name}"] = {lua(each)}' for name, each in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(map(lua, value)) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class HAProxy(Gateway):
    """A master and its worker, behind a socket in the case's folder, and the agent that feeds it."""

    fields = ("path", "status", "verdict", "error", "issuer", "kid", "digest")

    def __init__(self, case, policies, issuers, rules=PROTECTED + WELCOME, *, cache=None, upstream=None, start=True,
                 load="lua-load-per-thread", more="", before=""):
        super().__init__(case)
        self.socket, self.settings = self.folder / "haproxy.sock", self.folder / "settings.lua"
        self.log = self.folder / "haproxy.log"
        self.library = install(self.folder, MODULE)
        shutil.copy(SCRIPT, self.library)
        fetched = [issuer for issuer in issuers if "file" not in issuer]
        self.agent = Agent(case, fetched) if fetched and start else None
        self.store = self.agent.store if self.agent else self.folder / "store"
        cache = cache if cache is not None else {"store": self.store, "store_user": USER, "store_reader": True} if fetched else {}
        self.configure(cache | {"issuers": issuers, "policies": policies}, before)
        self.configuration = self.folder / "haproxy.cfg"
        self.configuration.write_text(TEMPLATE.format(
            jail="chroot /var/lib/haproxy\n    user haproxy\n    group haproxy" if AS_ROOT else "", threads=THREADS,
            library=self.library, load=load, settings=self.settings, socket=self.socket, rules=rules, more=more,
            upstream=upstream.url.removeprefix("http://") if upstream else "127.0.0.1:1"))
        if start:
            self.start()

    def configure(self, options, before=""):
        self.settings.write_text(f'{before}\nrequire("keyturn").configure {lua(options)}\n')

    def command(self, *more):
        return [HAPROXY, "-f", str(self.configuration), *more]

    def start(self):
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.case.addCleanup(self.notices.close)
        self.notices.settimeout(PATIENCE)
        self.notices.bind(str(self.folder / "notify"))
        with self.log.open("a") as log, self.requests.open("a") as requests:
            self.process = subprocess.Popen(
                self.command("-Ws"), env=self.environment | {"NOTIFY_SOCKET": str(self.folder / "notify")}, stdout=requests, stderr=log)
        self.case.addCleanup(self.stop)
        self.wait_until_ready()

    def wait_until_ready(self):
        """As systemd does. Before that a signal to reload could be lost."""
        try:
            while b"READY=1" not in self.notices.recv(4096):
                pass
        except TimeoutError:
            self.case.fail(f"HAProxy does not start. {self.said()}")

    def check(self):
        return self.run("-c")

    def reload(self):
        before = {str(worker) for worker in self.children()}
        self.signal("USR2")
        self.wait_until_ready()
        self.wait_for(lambda: self.ask().headers["X-Worker"] not in before)

    def connect(self):
        return UnixConnection(self.socket)
