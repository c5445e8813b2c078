"""Runs nginx for the tests, with the module and a folder of its own; it ends with the test."""

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path

from host import AS_ROOT, Case, Gateway, Stranger, UnixConnection, end, install, is_stored, revoke
from origin import PATIENCE, Origin

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
MODULE = os.environ.get("KEYTURN_NGINX_MODULE", "examples/nginx/objs/ngx_http_keyturn_module.so")

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
                        '$keyturn_key_age|$keyturn_wait_ms|$keyturn_token_digest|$jwt_claim_sub|$pid';
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


class OfNginx(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "html").mkdir()
        (self.folder / "html" / "index.html").write_text("welcome")

    def nginx(self, *arguments, **options):
        return Nginx(self, *arguments, **options)

    def host(self, issuer, source=None, policy=None, store=True):
        """As cases.py has it."""
        source = source or {}
        if "file" not in source:
            source = {"jwks_url": f"{issuer.url}/jwks.json", "allow_http": True} | source
        return self.nginx(
            "location / { keyturn on; keyturn_audiences orders; " + lines("keyturn_", policy) + "}",
            f"keyturn_issuer {issuer.url} {{ {lines('', source)} }}", workers=2, store=None if store else "off")


def lines(prefix, options):
    """Options by their names, as nginx has them."""
    def words(value):
        return "on" if value is True else " ".join(value) if isinstance(value, (list, tuple)) else str(value)
    return " ".join(f"{prefix}{name} {words(value)};" for name, value in (options or {}).items())


class Nginx(Gateway):
    """A master and its workers, behind a socket in the case's folder."""

    def __init__(self, case, server="", http="", *, servers=None, issuer=None, workers=1, store=None, start=True,
                 alone=False, daemon=False, folder=None):
        super().__init__(case)
        self.folder = folder or self.folder
        self.socket, self.log = self.folder / "nginx.sock", self.folder / "error.log"
        self.library = install(self.folder, MODULE)
        self.workers, self.alone, self.daemon = workers, alone, daemon
        self.store = Path(store or self.folder) / "keyturn" if store != "off" else "off"
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
            user="user www-data;" if AS_ROOT else "", library=self.library, module=Path(MODULE).name, folder=self.folder,
            workers=self.workers, daemon="on" if self.daemon else "off", process="master_process off;" if self.alone else "", store=f"keyturn_store {self.store};",
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
        found = []

        def there():
            try:  # it is renamed when the binary is replaced
                found[:] = (self.folder / "nginx.pid").read_text().split()
            except FileNotFoundError:
                found.clear()
            return found
        self.wait_for(there)
        return int(found[0])

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

    @property
    def workers_user(self):
        return pwd.getpwnam("www-data").pw_uid if AS_ROOT else os.geteuid()

    def wait_until_stored(self, kid):
        self.wait_for(lambda: is_stored(self.store, kid))

    def revoke(self, issuer, kid):
        revoke(self.folder, self.store, issuer, kid)

    def connect(self):
        return UnixConnection(self.socket)

    def listens(self):
        self.case.assertIsNone(self.process.poll(), self.said())
        return super().listens()

    # ---- Looking

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    def errors(self):
        """Lines that are worse than a warning."""
        return "\n".join(line for line in self.said().splitlines() if "[info]" not in line and "[notice]" not in line)

    def wait_until_said(self, text):
        self.wait_for(lambda: text in self.said())

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
