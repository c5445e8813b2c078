"""Runs Apache for the tests, with the module and a folder of its own; it ends with the test."""

import http.client
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from host import AS_ROOT, Case, Gateway, directives, install
from origin import PATIENCE, Origin

APACHE = shutil.which("apache2", path=os.environ["PATH"] + ":/usr/sbin")
MODULE = os.environ.get("KEYTURN_APACHE_MODULE", "examples/apache/mod_keyturn.so")
MODULES = Path("/usr/lib/apache2/modules")

LOADED = ("authn_core", "authz_core", "authz_host", "authz_user", "auth_basic", "authn_file", "dir", "alias", "headers",
          "rewrite", "setenvif", "proxy", "proxy_http", "remoteip")

TEMPLATE = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/httpd.pid
Mutex file:{folder} default
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
LoadModule keyturn_module {library}/mod_keyturn.so
{user}
{processes}
ErrorLog {folder}/error.log
LogLevel warn mpm_{mpm}:notice keyturn:info
LogFormat "%U|%>s|%{{keyturn-status}}n|%{{keyturn-error}}n|%{{keyturn-issuer}}n|%{{keyturn-kid}}n|%{{keyturn-key-age}}n|%{{keyturn-wait-ms}}n|%{{keyturn-token-digest}}n|%u|%{{subject}}e" verdicts
CustomLog {folder}/access.log verdicts
DocumentRoot {folder}/html
<Directory {folder}/html>
    Require all granted
</Directory>
GracefulShutdownTimeout 20
LimitRequestFieldSize 16380
KeyturnStore {store}
{text}
"""

# Enough threads, or processes, for a crowd that waits.
PROCESSES = {
    "event": "StartServers 2\nServerLimit 8\nThreadsPerChild 32\nMaxRequestWorkers 64\nMinSpareThreads 32\nMaxSpareThreads 64\n"
             "AsyncRequestWorkerFactor 2",
    "prefork": "StartServers 3\nMinSpareServers 2\nMaxSpareServers 40\nServerLimit 64\nMaxRequestWorkers 64",
}


FOUND = "RewriteEngine on\nRewriteRule ^/(?!metrics|keys) {folder}/html/index.html [L]\n"  # every path is there


class OfApache(Case):
    mpm = "event"

    def setUp(self):
        super().setUp()
        (self.folder / "html").mkdir()
        (self.folder / "html" / "index.html").write_text("welcome")

    def apache(self, *arguments, **options):
        return Apache(self, *arguments, **options)

    def host(self, issuer, source=None, policy=None, store=True):
        """As cases.py has it."""
        return self.apache(location("/", "Keyturn on", "KeyturnAudiences orders", lines(policy)),
                           source=source, issuer=issuer, store=store)

    def places(self, policies, *issuers):
        """As cases.py has it."""
        return self.apache(FOUND.format(folder=self.folder) + "".join(
            location(f"/{name}", "Keyturn on", lines(policy)) for name, policy in policies.items()), issuer=issuers)


def spelled(name):
    return "Keyturn" + "".join(word.capitalize() for word in name.split("_"))


def lines(options):
    """Options by their names, as Apache has them."""
    return "\n".join(f"{spelled(name)} {words}" for name, words in directives(options))


def location(path, *text):
    return f"<Location {path}>\n" + "\n".join(text) + "\n</Location>\n"


def block(issuer, options=None):
    options = options or {}
    if "file" not in options:
        options = {"jwks_url": f"{issuer.url}/jwks.json", "allow_http": True} | options
    return f"<KeyturnIssuer {issuer.url}>\n{lines(options)}\n</KeyturnIssuer>\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Apache(Gateway):
    """A parent and its children, at a port of 127.0.0.1."""

    fields = ("path", "status", "verdict", "error", "issuer", "kid", "age", "wait", "digest", "user", "subject")

    def __init__(self, case, text="", *, issuer=None, source=None, store=True, mpm=None, start=True):
        super().__init__(case)
        self.log, self.mpm = self.folder / "error.log", mpm or case.mpm
        self.library = install(self.folder, MODULE)
        self.store = self.folder / "keyturn" if store is True else store or "off"
        self.issuers = [issuer] if isinstance(issuer, Origin) else issuer or []
        self.source = source
        self.configure(text)
        if start:
            self.start()

    def configure(self, text=""):
        self.port = free_port()
        self.text = TEMPLATE.format(
            folder=self.folder, port=self.port, library=self.library, mpm=self.mpm, processes=PROCESSES[self.mpm],
            modules="\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in (f"mpm_{self.mpm}", *LOADED)),
            user="User www-data\nGroup www-data" if AS_ROOT else "", store=self.store,
            text="".join(block(issuer, self.source) for issuer in self.issuers) + text)
        self.configuration = self.folder / "httpd.conf"
        self.configuration.write_text(self.text)

    def command(self, *more):
        return [APACHE, "-f", str(self.configuration), *more]

    def start(self):
        # A session of its own: Apache signals its whole process group when it ends.
        with self.log.open("a") as log:  # what is said before the log is open
            self.process = subprocess.Popen(self.command("-DFOREGROUND"), env=self.environment, stderr=log,
                                            start_new_session=True)
        self.case.addCleanup(self.stop)
        self.wait_for(self.is_up)

    def is_up(self):
        self.case.assertIsNone(self.process.poll(), self.said())
        return "resuming normal operations" in self.said() and self.listens()

    def test(self):
        return self.run("-t")

    def reload(self):
        """`apachectl graceful`."""
        before, said = self.children(), self.said().count("resuming normal operations")
        self.signal("USR1")
        self.wait_for(lambda: self.said().count("resuming normal operations") > said and self.children() - before)
        return before

    @property
    def childrens_user(self):
        return pwd.getpwnam("www-data").pw_uid if AS_ROOT else os.geteuid()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
