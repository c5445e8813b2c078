"""What a gateway serves to who watches, without the gateway."""

import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ISSUER = "https://login.example.com"


class Site:
    """A gateway that answers as it is told, and remembers what it was asked, and over how many connections."""

    def __init__(self, case, *answers, context=None):
        self.answers, self.tokens, self.connections, site = list(answers), [], set(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.connections.add(self.client_address)
                site.tokens.append(self.headers["Authorization"])
                status, text = site.answers[min(len(site.tokens), len(site.answers)) - 1]
                octets = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *arguments):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, address):  # a client that trusts no such certificate
                pass

        server = Quiet(("127.0.0.1", 0), Handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        case.addCleanup(thread.join)
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"


def authority(folder, name):
    """The path of a certificate for 127.0.0.1 that vouches for itself, and a server's context with it."""
    path = folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", path],
        check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, f"{path}.key")
    return path, context


def page(worker, *kids, ready=True, revoked=False, issuer=ISSUER):
    keys = [{"kid": kid, "fault": 0, "revoked": revoked} for kid in kids]
    return 200, json.dumps({"process": worker, "issuers": [{"issuer": issuer, "ready": ready, "keys": keys}]})


def key_metrics(*keys, issuer=ISSUER, sums=1, gapless=1, fresh=290):
    """Those of a gateway: keys are a kid and the latest exp of its tokens, "" for a series that is not there."""
    lines = [f"keyturn_store_sums {sums}"]
    lines += [f'keyturn_key_set_{name}_seconds{{issuer="{issuer}"}} {value}' for name, value in (("age", 10), ("fresh", fresh))]
    for place, (kid, latest) in enumerate(keys):
        for name, value in (("tokens_total", 3), ("latest_expiry_timestamp_seconds", latest), ("gapless", gapless)):
            if value != "":
                lines.append(f'keyturn_key_{name}{{issuer="{issuer}",kid="{kid}",thumbprint="{place}"}} {value}')
    return "\n".join(lines) + "\n"
