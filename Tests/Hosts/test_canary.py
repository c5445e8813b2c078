"""`keyturn canary` before real gateways: two of nginx with two workers each, of which one is behind."""

import json
import os
import re
import socket
import subprocess

from host import BUILD, ROOT
from nginx import Nginx, OfNginx, lines
from origin import PATIENCE, Server

KEYTURN = os.environ.get("KEYTURN", ROOT / "build/swift/debug/keyturn")
SERVER = """server {{ listen 127.0.0.1:{port}; root {html}; location / {{ keyturn on; keyturn_audiences orders; }}
    location = /keys {{ keyturn_keys; }} location = /metrics {{ keyturn_metrics per_key; }} }}
server {{ listen unix:{folder}/nginx.sock; }}"""
EACH_SECOND = {"min_freshness_ms": 1000, "max_freshness_ms": 1000, "total_burst": 100}


class Mirror(Server):
    """A cache on the way, which keeps a set for as long as it likes."""

    def __init__(self, case, issuer):
        self.issuer = issuer
        self.take()
        super().__init__(case)

    def take(self):
        self.kept = self.issuer.text()

    def answer(self, handler):
        self.reply(handler, self.kept)


class Canary(OfNginx):
    def gateway(self, name, issuer, url, *, store=None, **options):
        """One on a port of loopback, which is kept for it by a socket that never listens."""
        place = socket.socket()
        self.addCleanup(place.close)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        port = place.getsockname()[1]
        options = lines("", {"jwks_url": url, "allow_http": True} | options)
        nginx = Nginx(
            self, http=f"keyturn_issuer {issuer.url} {{ {options} }}", workers=2, store=store, folder=folder,
            servers=SERVER.format(port=port, html=self.folder / "html", folder=folder))
        nginx.url = f"http://127.0.0.1:{port}"
        return nginx

    def canary(self, gateways, *arguments, path="/", token=None, timeout=PATIENCE):
        """Whether all have converged, by their URLs what is told of each, and the whole of the output."""
        command = [KEYTURN, "canary", "--allow-http", "--workers", "2", "--json", "--timeout", f"{timeout}s", *arguments]
        command += ["--token-file", "-"] if token else []
        done = subprocess.run(
            [*command, *[gateway.url + path for gateway in gateways]], input=token, capture_output=True, text=True,
            env=os.environ | {"LD_LIBRARY_PATH": str(BUILD)}, timeout=2 * PATIENCE, check=False)
        self.assertIn(done.returncode, (0, 2), done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["converged"], done.stderr), (done.returncode == 0, ""))
        if token:
            self.assertNotIn(token.split(".")[2], done.stdout)
        return [gateway["converged"] for gateway in told["gateways"]], told["gateways"]

    def test_a_rotation_waits_for_the_gateway_that_is_behind(self):
        issuer = self.origin()
        mirror = Mirror(self, issuer)
        both = [self.gateway("near", issuer, f"{issuer.url}/jwks.json", **EACH_SECOND),
                self.gateway("far", issuer, f"{mirror.url}/jwks.json", **EACH_SECOND)]
        old, new = issuer.signer, issuer.make()
        tokens = {key.kid: issuer.token(key) for key in (old, new)}
        ways = [(["--by", "token"], "/"), (["--by", "keys"], "/keys"), (["--by", "metrics"], "/metrics")]

        def ask(key, expected, way, **options):
            return self.canary(both, *ways[way][0], "--expect", expected, path=ways[way][1], token=tokens[key.kid], **options)

        self.assertEqual(ask(old, "accepted", 0)[0], [True, True])
        issuer.publish(new)
        self.assertEqual(ask(new, "accepted", 1, timeout=4)[0], [True, False])
        for way, why in ((0, "it answers the token with 401"), (2, "the key is not in its set")):
            converged, told = ask(new, "accepted", way, timeout=2)
            self.assertEqual((converged, told[1]["why"]), ([True, False], why))
            self.assertGreaterEqual(told[0]["in_a_row"], 64)
        mirror.take()
        for way in range(3):
            converged, told = ask(new, "accepted", way)
            self.assertEqual(converged, [True, True])
            if way == 1:
                self.assertEqual([set(one["workers"]) for one in told], [nginx.children() for nginx in both])

        issuer.withdraw(old)
        converged, told = ask(old, "refused", 1, timeout=4)
        self.assertEqual(converged, [True, False], told)
        self.assertEqual(ask(old, "refused", 0, timeout=2)[1][1]["why"], "it answers the token with 200")
        mirror.take()
        for way in (1, 0, 2):
            self.assertEqual(ask(old, "refused", way)[0], [True, True])
            self.assertEqual(ask(new, "accepted", way)[0], [True, True])

    def test_a_worker_that_is_behind_is_found_among_those_that_are_not(self):
        issuer = self.origin()
        nginx = self.gateway("one", issuer, f"{issuer.url}/jwks.json", store="off")
        self.assertEqual(self.canary([nginx], token=issuer.token())[0], [True])
        issuer.rotate()
        token = issuer.token()
        self.assertEqual(nginx.ask(token=token).status, 200)  # one has fetched the new set, the other has not
        converged, (told,) = self.canary([nginx], "--by", "keys", path="/keys", token=token, timeout=3)
        self.assertEqual(converged, [False])
        self.assertGreater(told["asked"], 2)
        who = re.fullmatch(r"worker (\d+): the key is not in its set", told["why"])
        self.assertIn(int(who[1]), nginx.children())
        self.assertEqual(self.canary([nginx], token=token)[0], [True])  # the token makes it fetch
        self.assertEqual(self.canary([nginx], "--by", "keys", path="/keys", token=token)[0], [True])

    def test_a_revoked_key_is_refused_although_it_is_published(self):
        issuer = self.origin()
        nginx = self.gateway("one", issuer, f"{issuer.url}/jwks.json")
        token = issuer.token()
        self.assertEqual(self.canary([nginx], token=token)[0], [True])
        nginx.revoke(issuer, issuer.signer.kid)
        for way, path in (("keys", "/keys"), ("token", "/")):
            self.assertEqual(self.canary([nginx], "--by", way, "--expect", "refused", path=path, token=token)[0], [True])
        converged, (told,) = self.canary([nginx], "--by", "metrics", "--expect", "refused", path="/metrics", token=token, timeout=1)
        self.assertEqual((converged, told["why"]), ([False], "the key is in its set"))  # which is all that metrics tell
