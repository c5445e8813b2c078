"""Servers of the tests' own, in this process: an issuer that does as it is told, and an upstream that tells what it gets."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ISSUER = Path(__file__).resolve().parents[1] / "Issuer"
sys.path.append(str(ISSUER))
from keys import PUBLIC_KINDS, SECRET_KINDS, base64url, rsa  # noqa: E402  (what both issuers need)

PATIENCE = 60  # seconds for what takes one; a busy machine is not a failure


def forge(kind, token, jwks):
    """What an attacker makes of a token and of the key set: see Tests/Issuer/forge.py."""
    command = [sys.executable, "-B", ISSUER / "forge.py", kind, jwks]
    return subprocess.run(command, input=token, capture_output=True, text=True, check=True).stdout.strip()


class Server:
    """Answers by `answer(handler)`, each connection in a thread, on 127.0.0.1."""

    def __init__(self, case):
        answer = self.answer
        self.free = threading.Event()  # answers wait for it
        self.free.set()
        case.addCleanup(self.free.set)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                try:
                    answer(self)
                except OSError:  # the client has gone
                    self.close_connection = True

            do_POST = do_HEAD = do_GET

            def log_message(self, *arguments):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, request, address):  # a client that hangs up is none
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, address)

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        case.addCleanup(thread.join)
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)

    @staticmethod
    def reply(handler, value, status=200, fields=()):
        body = (value if isinstance(value, str) else json.dumps(value)).encode()
        handler.send_response(status)
        for name, text in fields:
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)


class Origin(Server):
    """An issuer. What it publishes and what it signs with are apart, so that rotations may be staged or hard."""

    def __init__(self, case):
        super().__init__(case)
        self.asked = threading.Condition()
        self.count = 0
        self.up = True
        self.body = None  # of a key set that is another than it should be
        self.generation = 0
        self.signer = self.before = self.make()
        self.published = [self.signer]

    # ---- Keys

    def make(self, alg="ES256", bits=None):
        self.generation += 1
        maker = next(make for _, its, make in [*PUBLIC_KINDS, *SECRET_KINDS] if its == alg)
        return (rsa(bits) if bits else maker)(f"key-{self.generation}", alg)

    def publish(self, key):
        self.published = [*self.published, key]

    def withdraw(self, key):
        self.published = [each for each in self.published if each is not key]

    def rotate(self):
        """Hard: a new key in place of the old one, and at once in use."""
        key = self.make()
        self.published = [key]
        self.before, self.signer = self.signer, key

    def text(self):
        return json.dumps(self.jwks())

    def jwks(self):
        return {"keys": [key.document() for key in self.published]}

    # ---- Answers

    def answer(self, handler):
        with self.asked:
            self.count += 1
            self.asked.notify_all()
        self.free.wait(PATIENCE)
        if not self.up:
            return self.reply(handler, {}, 503)
        if handler.path == "/.well-known/openid-configuration":
            return self.reply(handler, {"issuer": self.url, "jwks_uri": self.url + "/jwks.json"})
        self.reply(handler, self.body or self.jwks(), fields=[("Cache-Control", "max-age=3600")])

    def wait_until_asked(self, more_than):
        with self.asked:
            if not self.asked.wait_for(lambda: self.count > more_than, PATIENCE):
                raise AssertionError("the issuer was not asked")

    # ---- Tokens

    @staticmethod
    def now():
        return int(time.time())

    def token(self, signer=None, header=None, **claims):
        signer = signer or self.signer
        now = self.now()
        content = {"iss": self.url, "sub": "alice", "aud": "orders", "iat": now, "exp": now + 600} | claims
        content = {name: value for name, value in content.items() if value is not None}
        return signer.sign({"alg": signer.alg, "kid": signer.kid} | (header or {}), content)

    def forged(self, signer=None):
        """A genuine token's text with the signature of another."""
        start, _, _ = self.token(signer).rpartition(".")
        return f"{start}.{self.token(signer, sub='mallory').rpartition('.')[2]}"


class Upstream(Server):
    """What a gateway protects: tells which headers have come."""

    def __init__(self, case):
        self.seen = []
        super().__init__(case)

    def answer(self, handler):
        fields = [list(field) for field in handler.headers.items()]
        self.seen.append((handler.path, fields))
        self.free.wait(PATIENCE)
        self.reply(handler, {"path": handler.path, "headers": fields})
