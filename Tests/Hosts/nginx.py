"""Runs nginx for the tests, with the module and a folder of its own; it ends with the test."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from host import AS_ROOT, Case, Gateway, Stranger, UnixConnection, directives, install, revoke
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


FOUND = "error_page 404 = @found; location @found { return 200; }"  # every path is there


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


    def places(self, policies, *issuers):
        """As cases.py has it."""
        return self.nginx(FOUND + "".join(
            f"location /{name} {{ keyturn on; {lines('keyturn_', policy)} }}" for name, policy in policies.items()), issuer=issuers)


def lines(prefix, options):
    """Options by their names, as nginx has them."""
    return " ".join(f"{prefix}{name} {words};" for name, words in directives(options))


class Nginx(Gateway):
    """A master and its workers, behind a socket in the case's folder."""

    fields = ("path", "status", "verdict", "error", "issuer", "kid", "age", "wait", "digest", "user", "worker")

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

    def test(self):
        return self.run("-t")

    def reload(self):
        before = self.children()
        self.signal("HUP")
        self.wait_for(lambda: len(self.children() - before) == self.workers)
        return before

    @property
    def workers_user(self):
        return pwd.getpwnam("www-data").pw_uid if AS_ROOT else os.geteuid()

    def revoke(self, issuer, kid):
        revoke(self.folder, self.store, issuer, kid)

    def connect(self):
        return UnixConnection(self.socket)

    def listens(self):
        self.case.assertIsNone(self.process.poll(), self.said())
        return super().listens()

    def errors(self):
        """Lines that are worse than a warning."""
        return "\n".join(line for line in self.said().splitlines() if "[info]" not in line and "[notice]" not in line)
