#!/usr/bin/env python3
"""A small issuer for the tests. Its keys are made when it starts and live in memory.

GET  /.well-known/openid-configuration
GET  /jwks.json                 the public keys, one for each algorithm
GET  /token?alg=ES256           a token signed now, as {"access_token": ...}; with, where wanted,
         key=KID                the key that signs, where several serve the algorithm
         kid=TEXT               the header's kid (default: the key's; empty: none)
         typ=TEXT               the header's typ (default: at+jwt)
         iss=, aud=, sub=TEXT   claims (default: this issuer, `orders`, `alice`)
         exp=SECONDS            from now, may be negative (default: 600)
POST /rotate                    new keys in place of all

Prints its URL in one line once it listens, on 127.0.0.1, at a port that was free. Ends with its
parent: when standard input ends, or with --parent-pid when that process does.
"""

import argparse
import json
import os
import select
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from keys import Generation, key_set


class Refused(Exception):
    """A request that the issuer cannot serve."""


class Issuer:
    """What the issuer is, apart from HTTP. A rotation replaces `generation` in one step."""

    def __init__(self, url, name=None, secrets=None):
        self.url, self.name, self.secrets = url, name or url, secrets
        self.rotate()

    def rotate(self):
        generation = Generation()
        if self.secrets:
            write_private(self.secrets, json.dumps(key_set(generation.secret)))
        self.generation = generation

    def discovery(self):
        return {
            "issuer": self.name,
            "jwks_uri": self.url + "/jwks.json",
            "token_endpoint": self.url + "/token",
        }

    def jwks(self):
        return key_set(self.generation.public)

    def token(self, alg="RS256", key=None, kid=None, typ="at+jwt", iss=None, aud="orders", sub="alice", exp="600"):
        signer = self.generation.find(alg, key)
        if signer is None:
            raise Refused(f"no key for the algorithm {alg}")
        header = {"alg": alg, "typ": typ, "kid": signer.kid if kid is None else kid}
        if kid == "":
            del header["kid"]
        now = int(time.time())
        expiry = now + int(exp)
        return signer.sign(header, {
            "iss": iss or self.name,
            "sub": sub,
            "aud": aud,
            "iat": min(now, expiry - 600),
            "exp": expiry,
            "jti": str(uuid.uuid4()),
            "scope": "orders:read orders:write",
        })


class Handler(BaseHTTPRequestHandler):
    """HTTP to `issuer`, which the server carries."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.serve({
            "/.well-known/openid-configuration": self.issuer.discovery,
            "/jwks.json": self.issuer.jwks,
            "/token": self.token,
        })

    def do_POST(self):
        self.serve({"/rotate": self.rotate})

    @property
    def issuer(self):
        return self.server.issuer

    def token(self, **query):
        return {"access_token": self.issuer.token(**query), "token_type": "Bearer"}

    def rotate(self):
        self.issuer.rotate()
        return self.issuer.jwks()

    def serve(self, routes):
        url = urlsplit(self.path)
        if url.path not in routes:
            return self.reply({"error": "not found"}, 404)
        try:
            self.reply(routes[url.path](**dict(parse_qsl(url.query, keep_blank_values=True))))
        except (Refused, TypeError, ValueError) as reason:
            self.reply({"error": str(reason)}, 400)

    def reply(self, value, status=200):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def write_private(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def wait_for_end(parent):
    if parent is None:
        while os.read(0, 4096):
            pass
    else:
        select.select([os.pidfd_open(parent)], [], [])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", metavar="URL", help="the value of iss (default: where it listens)")
    parser.add_argument("--secrets", metavar="FILE", help="write the set of the HS keys, which is not served, there")
    parser.add_argument("--parent-pid", metavar="PID", type=int)
    options = parser.parse_args()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    server.issuer = Issuer(url, options.issuer, options.secrets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(url, flush=True)
    wait_for_end(options.parent_pid)


if __name__ == "__main__":
    main()
