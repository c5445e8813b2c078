#!/usr/bin/env python3
"""Debian's glewlwyd, an OpenID provider that knows nothing of Keyturn, on a database of its own.

Prints two URLs in one line once both listen on 127.0.0.1: the provider's as an issuer, and one that asks it:

GET  /token             an RFC 9068 token for the audience `orders`, signed now, as {"access_token": ...};
         kid=TEXT       with this kid in its header instead, which its signature does not bear
POST /rotate            a new key in place of the one before

Ends with standard input, and with it the provider. Exits with 77 where glewlwyd is not installed.
"""

import base64
import http.cookiejar
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from keys import base64url

SCHEMA = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
AUDIENCE = "orders"
CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="{url}"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="console"
log_level="ERROR"
cookie_domain="127.0.0.1"
cookie_secure=false
session_expiration=3600
session_key="SESSION"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="/usr/lib/glewlwyd/user_middleware"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{database}"; }};
"""


class Provider:
    """A running glewlwyd, with one client that may have tokens for itself."""

    def __init__(self, folder):
        self.folder = folder
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        # It is told its port, which another may take before it does.
        if not any(self.start() for _ in range(5)):
            sys.exit(f"glewlwyd does not come up: {(folder / 'log').read_text()}")
        self.issuer = self.url + "/api/oidc"
        self.set_up()

    def start(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        database = self.folder / f"{port}.db"
        with sqlite3.connect(database) as connection:
            connection.executescript(SCHEMA.read_text())
        configuration = self.folder / "configuration"
        configuration.write_text(CONFIGURATION.format(port=port, url=self.url, database=database))
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "glewlwyd", f"--config-file={configuration}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.comes_up()

    def comes_up(self):
        latest = time.monotonic() + 30
        while time.monotonic() < latest and self.process.poll() is None:
            try:
                self.opener.open(self.url + "/config", timeout=5)
                return True
            except OSError:
                time.sleep(0.05)
        self.stop()
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def set_up(self):
        """The user is the one that the package's schema brings."""
        self.api("POST", "auth/", {"username": "admin", "password": "password"})
        self.api("POST", "mod/plugin/", plugin(self.issuer))
        self.api("POST", "scope/", {
            "name": AUDIENCE, "display_name": AUDIENCE, "password_required": False, "scheme": {}})
        self.api("POST", "client/", {
            "client_id": "client", "name": "client", "confidential": True, "enabled": True, "password": "not a secret",
            "authorization_type": ["client_credentials"], "redirect_uri": ["http://127.0.0.1:1/"],
            "scope": [AUDIENCE], "token_endpoint_auth_method": ["client_secret_basic"]})

    def api(self, method, path, value):
        self.ask(urllib.request.Request(
            f"{self.url}/api/{path}", json.dumps(value).encode(), {"Content-Type": "application/json"}, method=method))

    def ask(self, request):
        with self.opener.open(request, timeout=30) as answer:
            return answer.read()

    def token(self):
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": AUDIENCE}).encode()
        credentials = base64.b64encode(b"client:not a secret").decode()
        answer = self.ask(urllib.request.Request(
            self.issuer + "/token/", form, {"Authorization": f"Basic {credentials}"}))
        return json.loads(answer)["access_token"]

    def rotate(self):
        self.api("PUT", "mod/plugin/oidc", plugin(self.issuer))
        self.api("PUT", "mod/plugin/oidc/reset", {})


def plugin(issuer):
    """What makes an issuer of it, with a new key."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": True, "parameters": {
        "iss": issuer, "jwt-type": "rsa", "jwt-key-size": "256", "key": private.decode(), "cert": public.decode(),
        "jwks-show": True, "access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600,
        "refresh-token-rolling": True, "allow-non-oidc": True, "auth-type-client-enabled": True,
        "auth-type-code-enabled": True, "auth-type-implicit-enabled": False, "auth-type-password-enabled": False,
        "auth-type-refresh-enabled": True, "auth-type-token-enabled": False, "auth-type-id-token-enabled": True,
        "oauth-dpop-allowed": False, "scope": [], "additional-parameters": [], "claims": []}}


def with_kid(token, kid):
    header, rest = token.split(".", 1)
    named = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))) | {"kid": kid}
    return f"{base64url(json.dumps(named).encode())}.{rest}"


class Handler(BaseHTTPRequestHandler):
    """Asks `provider`, which the server carries."""

    def do_GET(self):
        kid = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("kid")
        token = self.server.provider.token()
        self.reply({"access_token": with_kid(token, kid[0]) if kid else token})

    def do_POST(self):
        self.server.provider.rotate()
        self.reply({})

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def main():
    if not shutil.which("glewlwyd"):
        print("SKIPPED: fetch.live.glewlwyd: glewlwyd is not installed (scripts/setup)", file=sys.stderr)
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(Path(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.provider = provider
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(provider.issuer, f"http://127.0.0.1:{server.server_port}", flush=True)
        while os.read(0, 4096):
            pass
        provider.stop()


if __name__ == "__main__":
    main()
