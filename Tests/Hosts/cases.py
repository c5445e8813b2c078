"""What holds in every host: the same requests, the same answers.

A host's tests mix these classes into a `host.Case` of their own:

    class Verdicts(cases.Verdicts, OfNginx): pass

and give

    host(issuer, source=None, policy=None, store=True) -> a gateway that listens
    places(policies, *issuers) -> one where each of these policies is in force at the path of its name

`issuer` is an `origin.Origin`. The gateway protects every path: the token is in Authorization, of this issuer, for the audience
`orders`, and a request that passes is answered 200. Its keys are fetched from `issuer.url + "/jwks.json"`, with allow_http.
`source` (of the issuer) and `policy` are further options by their names in docs/options.md: numbers, True, texts, lists of
texts; a `file` in `source` is instead of the URL. Without `store` keys live in memory alone. `policies` has such options under
names, and nothing else is asked for there; `require` is a list of rules, which are lists of words.

Of the gateway, which is a `host.Gateway`, is used

    ask(token=..., headers=...) -> a reply with `status` and `headers`, over a connection of its own
    reload()    new processes, or a new configuration, in place of the old; returns when they answer: the processes that
                are replaced, if any, and answer for a moment still
    store       the directory
    said()      what it logged, for people

What differs between hosts is a class attribute of `Host`; a case that a host cannot have is `test_it = None` there, with the
reason.
"""

import hashlib
import json
import threading
import time

from host import revoke
from origin import PATIENCE, forge
from tls import TLSConnection, make_certificate, thumbprint

# A life in seconds: the issuer is asked about once in one.
QUICK = {"min_freshness_ms": 1000, "max_freshness_ms": 1000, "default_freshness_ms": 1000, "total_burst": 100,
         "total_interval_ms": 100, "backoff_base_ms": 100, "backoff_max_ms": 500, "backoff_max_unserved_ms": 500}
UNHURRIED = {"connect_timeout_ms": 60_000, "fetch_timeout_ms": 60_000}  # for who holds an answer back on a busy machine
REMOVED_WITHIN = 0.9 * 1 + 5  # seconds: refresh.md's bound, of that F

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA",
              "Ed25519", "Ed448")
SYMMETRIC = ("HS256", "HS384", "HS512")


class Host:
    parks = True  # a token whose key may be on its way waits; else it is 503, and its client comes again
    too_large = 20_000  # octets, beyond what the host takes as a header
    reloads = 20

    def answer(self, gateway, **request):
        """To a client that comes again, where nothing can be parked."""
        latest = time.monotonic() + PATIENCE
        while True:
            reply = gateway.ask(**request)
            if self.parks or reply.status != 503 or time.monotonic() > latest:
                return reply
            time.sleep(0.01)

    def check(self, gateway, token, status, what=""):
        self.assertEqual(self.answer(gateway, token=token).status, status, what or gateway.said()[-4000:])

    def wait_until(self, gateway, token, status, within=PATIENCE):
        """Until the answer is that, of every process."""
        latest = time.monotonic() + within
        while any(gateway.ask(token=token).status != status for _ in range(10)):
            if time.monotonic() > latest:
                self.fail(f"not {status} within {within} s. {gateway.said()[-4000:]}")
            time.sleep(0.01)


class Verdicts(Host):
    """What a single request brings decides."""

    def test_a_request_is_answered_by_what_it_brings(self):
        issuer = self.origin()
        issuer.published.append(rsa := issuer.make("RS256"))
        (self.folder / "keys.json").write_text(issuer.text())
        gateway = self.host(issuer)
        genuine, now = issuer.token(rsa), issuer.now()

        def forged(kind):
            return forge(kind, genuine, self.folder / "keys.json")

        for name, token, status in [
            ("a good one", genuine, 200),
            ("another", issuer.token(), 200),
            ("within the leeway", issuer.token(exp=now - 5), 200),
            ("none", None, 401),
            ("an empty one", "", 401),
            ("one part", "garbage", 401),
            ("three parts", "a.b.c", 401),
            ("one octet more", genuine + "A", 401),
            ("another signature", issuer.forged(), 401),
            ("other claims", forged("tampered"), 401),
            ("alg none", forged("none"), 401),
            ("alg confusion", forged("confused"), 401),
            ("a key for another algorithm", issuer.token(header={"kid": rsa.kid}), 401),
            ("expired", issuer.token(exp=now - 3600), 401),
            ("not yet valid", issuer.token(nbf=now + 3600), 401),
            ("without an expiry", issuer.token(exp=None), 401),
            ("wrong audience", issuer.token(aud="others"), 401),
            ("no audience", issuer.token(aud=None), 401),
            ("wrong issuer", issuer.token(iss="https://other.example"), 401),
            ("no issuer", issuer.token(iss=None), 401),
            ("a giant kid", issuer.token(header={"kid": "k" * 2000}), 401),
            ("unknown kid", issuer.token(issuer.make()), 401),
            ("another's key under a known kid", issuer.token(issuer.make(), {"kid": issuer.signer.kid}), 401),
            ("and a good one again", genuine, 200),
        ]:
            with self.subTest(name):
                self.check(gateway, token, status)

    def test_a_request_has_one_token_of_a_bearable_size(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        bearer = ("Authorization", f"Bearer {issuer.token()}")
        self.assertEqual(self.answer(gateway, headers=[bearer]).status, 200)
        self.assertEqual(gateway.ask(headers=[bearer, bearer]).status, 400)
        self.assertEqual(gateway.ask(headers=[("Authorization", "Basic dXNlcjpzZWNyZXQ=")]).status, 401)
        self.assertIn(gateway.ask(token="a" * self.too_large).status, (400, 431))

    def test_refusals_carry_a_challenge_that_tells_nothing(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        self.check(gateway, issuer.token(), 200)
        self.assertEqual(gateway.ask().headers["WWW-Authenticate"], "Bearer")
        refusals = {gateway.ask(token=token).headers["WWW-Authenticate"]
                    for token in ("a.b.c", issuer.forged(), issuer.token(exp=1), issuer.token(aud="others"))}
        self.assertEqual(len(refusals), 1)
        self.assertIn('error="invalid_token"', refusals.pop())

    def test_each_algorithm_is_verified(self):
        issuer = self.origin()
        keys = issuer.published = [issuer.make(alg) for alg in ASYMMETRIC]
        gateway = self.host(issuer)
        for key in keys:
            with self.subTest(key.alg):
                self.check(gateway, issuer.token(key), 200)
                self.check(gateway, issuer.forged(key), 401)

    def test_shared_secrets_are_verified_where_they_are_asked_for(self):
        issuer = self.origin()
        secrets = issuer.published = [issuer.make(alg) for alg in SYMMETRIC]
        (self.folder / "secrets.json").write_text(issuer.text())
        gateway = self.host(
            issuer, source={"file": self.folder / "secrets.json", "allow_symmetric": True, "algorithms": SYMMETRIC},
            policy={"algorithms": SYMMETRIC})
        for key in secrets:
            with self.subTest(key.alg):
                self.check(gateway, issuer.token(key), 200)
                self.check(gateway, issuer.forged(key), 401)
        self.check(gateway, issuer.token(issuer.signer), 401)

    def test_what_is_revoked_is_refused(self):
        issuer = self.origin()
        stays, goes = issuer.signer, issuer.make()
        issuer.published.append(goes)
        gateway = self.host(issuer)
        for key in (stays, goes):
            self.check(gateway, issuer.token(key), 200)
        old = issuer.token(goes)
        gateway.wait_until_stored(goes.kid)
        revoke(self.folder, gateway.store, issuer, goes.kid)
        self.wait_until(gateway, old, 401)
        replaced = gateway.reload()
        if replaced:  # one of them may not have been asked above, nor have heard of it yet
            gateway.wait_for(lambda: not replaced & gateway.children())
        for _ in range(20):
            self.check(gateway, old, 401)
        self.check(gateway, issuer.token(stays), 200)


ORDERS = {"audiences": ["orders"]}


class Policies(Host):
    """At each place its own."""

    def test_the_options_of_a_policy_are_obeyed(self):
        issuer = self.origin()
        issuer.publish(rsa := issuer.make("RS256"))
        gateway = self.places({
            "type": ORDERS | {"type": "at+jwt"}, "alg": ORDERS | {"algorithms": ["RS256", "PS256"]},
            "short": ORDERS | {"max_lifetime_s": 60}, "leeway": ORDERS | {"leeway_s": 600}, "strict": ORDERS | {"leeway_s": "off"},
            "endless": ORDERS | {"allow_no_expiry": True}, "small": ORDERS | {"max_token": 100}, "any": {"allow_any_audience": True},
        }, issuer)
        for path, token, status in [
            ("/type", issuer.token(), 401), ("/type", issuer.token(header={"typ": "at+JWT"}), 200),
            ("/alg", issuer.token(), 401), ("/alg", issuer.token(rsa), 200),
            ("/short", issuer.token(), 401), ("/short", issuer.token(exp=issuer.now() + 50), 200),
            ("/leeway", issuer.token(exp=issuer.now() - 100), 200),
            ("/strict", issuer.token(exp=issuer.now() - 1), 401),
            ("/endless", issuer.token(exp=None), 200), ("/small", issuer.token(), 401),
            ("/any", issuer.token(aud="others"), 200), ("/any", issuer.token(aud=None), 200),
        ]:
            self.assertEqual(gateway.ask(path, token).status, status, path)

    def test_rules_are_about_claims_and_answered_403(self):
        issuer = self.origin()
        rules = {
            "present": [["email"]], "equals": [["tenant", "equals", "blue"]], "one_of": [["tenant", "one_of", "blue", "green"]],
            "contains": [["/realm_access/roles", "contains", "admin", "root"]], "has_word": [["scope", "has_word", "orders:read"]],
            "two": [["tenant", "prefix", "bl"], ["email"]],
        }
        gateway = self.places(
            {name: ORDERS | {"scope": "orders:read", "require": rule} for name, rule in rules.items()}, issuer)
        good = issuer.token(email="a@b", tenant="blue", scope="x orders:read", realm_access={"roles": ["admin"]})
        poor = issuer.token(tenant="red", scope="orders:readers", realm_access={"roles": ["user"]})
        for name in rules:
            self.assertEqual(gateway.ask(f"/{name}", good).status, 200, name)
            self.assertEqual(gateway.ask(f"/{name}", poor).status, 401 if name == "present" else 403, name)
        self.assertIn('error="insufficient_scope", scope="orders:read"', gateway.ask("/equals", poor).headers["WWW-Authenticate"])

    def test_each_policy_names_its_issuers(self):
        one, two = self.origin(), self.origin()
        gateway = self.places({"one": ORDERS | {"issuers": [one.url]}, "both": ORDERS | {"issuers": [one.url, two.url]}}, one, two)
        for path, token, status in [
            ("/one", one.token(), 200), ("/one", two.token(), 401), ("/both", one.token(), 200), ("/both", two.token(), 200),
            ("/both", two.token(signer=one.signer), 401),
        ]:
            self.assertEqual(gateway.ask(path, token).status, status, path)


class Finding(Host):
    """Where a token is, and that there is but one."""

    x_token = None  # what the host calls the header X-Token as a place of tokens, where it has such

    def setUp(self):
        super().setUp()
        self.issuer = self.origin()
        self.token = self.issuer.token()
        self.bearer = ("Authorization", f"Bearer {self.token}")
        places = {"cookie": ["cookie=session"], "arg": ["arg=access_token"], "any": ["header", "cookie=session", "arg=access_token"]}
        if self.x_token:
            places |= {"named": [self.x_token], "any": [*places["any"], self.x_token]}
        self.gateway = self.places(
            {"header": ORDERS} | {name: ORDERS | {"token": place} for name, place in places.items()}, self.issuer)

    def answers(self, status, *requests):
        for path, *fields in requests:
            self.assertEqual(self.gateway.ask(path, headers=fields).status, status, (path, fields))

    def test_it_is_where_the_policy_says(self):
        token = self.token
        self.answers(
            200, ("/header", ("Authorization", f"bEARER  {token}")), ("/cookie", ("Cookie", f"a=b; session={token}; c=d")),
            ("/cookie", ("Cookie", "a=b"), ("Cookie", f"session={token}")), (f"/arg?x=1&access_token={token}",),
            (f"/any?access_token={token}",), ("/any", self.bearer), ("/any", ("Cookie", f"session={token}")))
        if self.x_token:
            self.answers(200, ("/named", ("X-Token", token)), ("/any", ("X-Token", token)))

    def test_and_nowhere_else(self):
        token = self.token
        self.answers(
            401, ("/cookie", self.bearer), (f"/header?access_token={token}",), ("/header", ("Cookie", f"session={token}")),
            ("/cookie", ("Cookie", f"xsession={token}")), ("/cookie", ("Cookie", f"session_={token}")),
            (f"/arg?xaccess_token={token}",), (f"/arg/access_token={token}",), ("/header", ("Authorization", f"Basic {token}")),
            ("/header", ("Authorization", token)), ("/header", ("Authorization", f"Bearer {token},x")),
            ("/header", ("Authorization", f"Bearer {token}, x")), ("/header", ("Authorization", f"Bearer {token} x")))

    def test_two_are_none(self):
        token, cookie = self.token, ("Cookie", f"session={self.token}")
        self.answers(
            400, ("/header", self.bearer, self.bearer), ("/header", self.bearer, ("Authorization", "bearer x")),
            (f"/any?access_token={token}", cookie), ("/any", self.bearer, cookie),
            ("/cookie", ("Cookie", f"session={token}; session=other")), ("/cookie", cookie, cookie),
            (f"/arg?access_token={token}&access_token={token}",))
        if self.x_token:
            self.answers(400, ("/any", self.bearer, ("X-Token", token)))


class Bound(Host):
    """Tokens that are of use to who holds a certificate's key (RFC 8705).

    A host gives `bound(issuer, certificate)`: its gateway with host_confirms, but at /unaware, and with that certificate of its
    own at `tls.sock` in the folder, where it asks clients for theirs. Any will do.
    """

    def over_tls(self, gateway, certificate):
        return TLSConnection(self, self.folder / "tls.sock", certificate)

    def without_tls(self, gateway):
        """Where both are not there at once."""

    def test_they_are_held_against_the_connections_certificate(self):
        issuer = self.origin()
        server, mine, others = (make_certificate(self.folder, name) for name in ("localhost", "mine", "others"))
        gateway = self.bound(issuer, server)
        free = issuer.token()
        bound = issuer.token(cnf={"x5t#S256": thumbprint(mine)})
        to_a_key = issuer.token(cnf={"jkt": thumbprint(mine)})
        for path, token, certificate, status in [
            ("/", bound, mine, 200), ("/", bound, others, 401), ("/", bound, None, 401), ("/", to_a_key, mine, 401),
            ("/", free, mine, 200), ("/", free, None, 200), ("/", issuer.token(cnf={}), mine, 401),
            ("/", issuer.token(cnf=7), mine, 401), ("/unaware", bound, mine, 401), ("/unaware", free, None, 200),
        ]:
            reply = gateway.ask(path, token, on=self.over_tls(gateway, certificate))
            self.assertEqual(reply.status, status, (path, token is bound, certificate))
        self.without_tls(gateway)
        self.assertEqual(gateway.ask(token=bound).status, 401)
        self.assertEqual(gateway.ask(token=free).status, 200)


class Told(Host):
    """What the upstream and the log are told of a token. A host sets up `issuer`, `up` and `gateway`, which tells `up` of `sub` as
    X-User and of /realm/roles as X-Roles, and whose `fields` name what stands in a line of its log of requests."""

    forged = [(name, "forged") for name in ("X-User", "x-user", "X_User", "x_USER", "X.User", "x.user", "X-ROLES", "x_roles")]

    def user(self, reply):
        """Whom the upstream was told of."""
        self.assertEqual(reply.status, 200, self.gateway.said())
        self.assertNotIn("forged", reply.body)
        return [value for name in ("X-User", "X_User", "X.User") for value in reply.all(name)]

    def stories(self, path):
        return [dict(zip(self.gateway.fields, fields, strict=True)) for fields in self.gateway.access(path)]


class Made:
    """X-User, which `self.gateway` makes of `sub` and hands on."""

    empty = [""]  # what an empty claim makes

    def made(self, token, *fields):
        reply = self.gateway.ask("/", token, [("X-User", "forged"), *fields])
        self.assertEqual(reply.status, 200, self.gateway.said()[-4000:])
        return reply

    def test_a_client_cannot_have_it_taken_out(self):
        """As a header of the connection, here or by the next gateway."""
        for named in ("X-User", "close, x-user", "x-USER,close"):
            reply = self.made(self.issuer.token(), ("Connection", named))
            self.assertEqual(reply.all("X-User"), ["alice"], named)
            self.assertNotIn("user", " ".join(reply.all("Connection")).lower(), named)

    def test_an_empty_claim_refuses_nobody(self):
        self.assertEqual(self.made(self.issuer.token(sub="")).all("X-User"), self.empty)


class Telling(Made, Told):
    """That it is that of this request."""

    unverified = "/off"  # where nobody is
    others = "/others"  # makes X-Other of `sub`, and no more what is made elsewhere
    says_refusals = True  # to people too

    def test_absent_claims_are_absent_and_forged_ones_leave(self):
        reply = self.gateway.ask("/", self.issuer.token(sub=None), [*self.forged, ("X-Users", "stays")])
        self.assertEqual(self.user(reply), [])
        self.assertEqual(reply.all("X-Users"), ["stays"])

    def test_a_place_with_headers_of_its_own_lets_nobody_send_the_usual_ones(self):
        if self.others:
            for token, name in ((self.issuer.token(), ["alice"]), (self.issuer.token(sub=None), [])):
                reply = self.gateway.ask(self.others, token, [*self.forged, ("X-Other", "forged")])
                self.assertEqual(reply.status, 200, self.gateway.said()[-4000:])
                self.assertNotIn("forged", reply.body)
                self.assertEqual((reply.all("X-User"), reply.all("X-Other")), ([], name))

    def test_a_claim_that_could_end_a_header_is_refused(self):
        for octet in [*range(0x20), 0x7F]:
            reply = self.gateway.ask("/", self.issuer.token(sub=f"a{chr(octet)}b"))
            self.assertEqual(reply.status, 403, octet)
            self.assertIsNone(reply.headers["WWW-Authenticate"])
        self.assertEqual(self.gateway.ask("/", self.issuer.token(sub="a\x80b")).status, 200)

    def test_keep_alive_keeps_no_claims(self):
        connection = self.gateway.connection()
        for turn in range(6):
            name = f"user-{turn}"
            reply = self.gateway.ask("/", self.issuer.token(sub=name if turn % 3 else None), on=connection)
            self.assertEqual(self.user(reply), [name] if turn % 3 else [])
            if self.unverified:
                self.assertEqual(self.user(self.gateway.ask(self.unverified, on=connection)), [])

    def side_by_side(self):
        """Asks for many, each at a path of his name, all of whom are under way at once."""
        names = [f"user-{number}" for number in range(40)]
        self.assertEqual(self.gateway.ask("/", self.issuer.token()).status, 200)
        self.up.free.clear()
        waiting = [(name, self.gateway.begin(f"/{name}", self.issuer.token(sub=name))) for name in names]
        self.gateway.wait_for(lambda: len(self.up.seen) == 1 + len(names))
        self.up.free.set()
        for name, connection in reversed(waiting):
            self.assertEqual(self.user(self.gateway.end(connection)), [name])
        return names

    def test_users_side_by_side_have_each_their_own(self):
        self.side_by_side()

    def test_the_log_tells_what_became_of_a_request(self):
        token = self.issuer.token()
        for path, text in (("/one", token), ("/two", token + "x")):
            self.gateway.ask(path, text)
        (good,), (bad,) = self.stories("/one"), self.stories("/two")
        for name, value in {"status": "200", "verdict": "JWT_OK", "error": "-", "issuer": self.issuer.url,
                            "kid": self.issuer.signer.kid, "digest": digest(token), "user": "alice", "subject": "alice"}.items():
            self.assertEqual(good.get(name, value), value, name)
        for name, value in {"status": "401", "verdict": "JWT_BAD_BASE64", "issuer": "-", "kid": "-",
                            "digest": digest(token + "x"), "user": "-"}.items():
            self.assertEqual(bad.get(name, value), value, name)
        self.assertNotEqual(bad.get("error"), "-")
        self.assertLess(int(good.get("age", 0)), 3600)
        self.assertGreaterEqual(int(good.get("wait", 0)), 0)

    def test_no_log_holds_a_token(self):
        token = self.issuer.token()
        for text in (token, token + "x", self.issuer.forged()):
            self.gateway.ask("/", text)
        self.gateway.wait_for(lambda: len(self.gateway.access("/")) == 3)
        if self.says_refusals:
            self.gateway.wait_until_said("keyturn refuses: JWT_BAD_SIGNATURE")
        self.assertNotIn(token[-40:], self.gateway.said() + self.gateway.requests.read_text())


class Modes(Told):
    """Each at the path of its name."""

    def test_optional_lets_pass_who_has_no_token(self):
        self.assertEqual(self.user(self.gateway.ask("/optional", headers=self.forged)), [])
        self.assertEqual(self.user(self.gateway.ask("/optional", self.issuer.token(), self.forged)), ["alice"])
        self.assertEqual(self.gateway.ask("/optional", self.issuer.forged(), self.forged).status, 401)

    def test_report_refuses_nobody_and_logs_whom_it_would(self):
        reply = self.gateway.ask("/report", headers=self.forged)
        self.assertEqual(self.user(reply), [])
        self.assertIsNone(reply.headers["WWW-Authenticate"])
        self.gateway.wait_until_said("keyturn would refuse: JWT_MISSING")
        self.assertEqual(self.user(self.gateway.ask("/report", self.issuer.forged(), self.forged)), [])
        self.gateway.wait_until_said("keyturn would refuse: JWT_BAD_SIGNATURE")
        self.assertEqual(self.user(self.gateway.ask("/report", self.issuer.token(), self.forged)), ["alice"])
        self.gateway.wait_for(lambda: len(self.gateway.access("/report")) == 3)
        self.assertEqual([story["verdict"] for story in self.stories("/report")], ["JWT_MISSING", "JWT_BAD_SIGNATURE", "JWT_OK"])

    def test_off_cleans_headers_all_the_same(self):
        self.assertEqual(self.user(self.gateway.ask("/off", self.issuer.token(), self.forged)), [])


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()[:32]


class Load:
    """Requests without a pause, from a few threads, until told to end."""

    def __init__(self, case, gateway, issuer, threads=3):
        self.case, self.gateway, self.issuer, self.stop = case, gateway, issuer, threading.Event()
        self.answered = threading.Condition()
        self.count, self.refused, self.failures = 0, [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        case.addCleanup(self.join)
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.stop.is_set():
            signer = self.issuer.signer
            try:
                reply = self.gateway.ask(token=self.issuer.token(signer))
            except Exception as failure:  # whatever it is, a client would have seen it
                self.failures.append(failure)
                continue
            with self.answered:
                self.look(signer, reply)
                self.answered.notify_all()

    def look(self, signer, reply):
        self.count += 1
        # Who signs with a key that its issuer takes back meanwhile may be refused.
        if reply.status != 200 and signer in self.issuer.published:
            self.refused.append(reply.status)

    def go_on(self, more=20):
        """Until so many have been answered that have begun since."""
        with self.answered:
            target = self.count + len(self.threads) + more
            if not self.answered.wait_for(lambda: self.count >= target, PATIENCE):
                self.case.fail(f"nothing is answered. {self.gateway.said()[-4000:]}")

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def end(self):
        """Nobody was refused, and every request answered."""
        self.go_on()
        self.join()
        self.case.assertEqual((self.refused, self.failures), ([], []), self.gateway.said()[-4000:])


class UnderLoad(Host):
    def under_load(self, **options):
        issuer = self.origin()
        gateway = self.host(issuer, **options)
        self.wait_until(gateway, issuer.token(), 200)
        load = Load(self, gateway, issuer)
        load.go_on()
        return issuer, gateway, load


class Rotations(UnderLoad):
    """What becomes of requests while an issuer lives its life."""

    def test_a_staged_rotation_refuses_nobody(self):
        issuer, gateway, load = self.under_load(source=QUICK)
        old = issuer.signer
        issuer.publish(new := issuer.make())
        issuer.wait_until_asked(issuer.count + 1)  # so that the first of them has been heard
        load.go_on()
        issuer.signer = new
        load.go_on()
        issuer.withdraw(old)
        self.wait_until(gateway, issuer.token(old), 401, REMOVED_WITHIN)
        load.end()

    def test_a_hard_rotation_refuses_nobody(self):
        issuer, gateway, load = self.under_load()
        old, asked = issuer.signer, issuer.count
        issuer.rotate()
        load.go_on()
        self.wait_until(gateway, issuer.token(old), 401, REMOVED_WITHIN)
        load.end()
        self.assertLessEqual(issuer.count, asked + 2)

    def test_a_crowd_of_a_new_key_waits_for_one_fetch(self):
        issuer = self.origin()
        gateway = self.host(issuer, source=UNHURRIED)
        self.check(gateway, known := issuer.token(), 200)
        issuer.free.clear()
        issuer.rotate()
        asked = issuer.count
        crowd = [gateway.begin(token=issuer.token()) for _ in range(20)]
        issuer.wait_until_asked(asked)
        for _ in range(20):  # while they wait
            self.assertEqual(gateway.ask(token=known).status, 200)
        issuer.free.set()
        self.assertEqual([gateway.end(one).status for one in crowd], [200] * 20)
        self.assertEqual(issuer.count, asked + 1)
        self.wait_until(gateway, known, 401, REMOVED_WITHIN)

    def test_a_removed_key_is_refused_within_the_bound(self):
        issuer = self.origin()
        leaves = issuer.make()
        issuer.publish(leaves)
        gateway = self.host(issuer, source=QUICK)
        old = issuer.token(leaves)
        self.check(gateway, old, 200)
        issuer.withdraw(leaves)  # and nobody asks for another key
        self.wait_until(gateway, old, 401, REMOVED_WITHIN)
        self.check(gateway, issuer.token(), 200)

    def test_an_outage_is_no_bad_token(self):
        issuer = self.origin()
        issuer.up = False
        gateway = self.host(issuer, source=QUICK)
        cold = gateway.ask(token=issuer.token())
        self.assertEqual(cold.status, 503)
        self.assertTrue(1 <= int(cold.headers["Retry-After"]) <= 300)
        self.assertIsNone(cold.headers["WWW-Authenticate"])
        self.assertEqual(gateway.ask(token="a.b.c").status, 401)
        issuer.up = True
        self.wait_until(gateway, issuer.token(), 200)

    def test_a_new_key_in_an_outage_is_no_bad_token(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        self.wait_until(gateway, known := issuer.token(), 200)
        issuer.up = False
        self.assertEqual(gateway.ask(token=issuer.token(issuer.make())).status, 503)
        self.check(gateway, known, 200)

    def test_known_keys_outlive_their_issuer(self):
        issuer, gateway, load = self.under_load(source=QUICK)
        asked, issuer.up = issuer.count, False
        issuer.wait_until_asked(asked + 2)  # which failed twice, at least
        load.go_on()
        issuer.publish(new := issuer.make())
        self.assertIn(gateway.ask(token=issuer.token(new)).status, (401, 503))
        issuer.up = True
        self.wait_until(gateway, issuer.token(new), 200)
        load.end()

    def test_a_poisoned_set_takes_no_key_away_and_brings_none(self):
        issuer, gateway, load = self.under_load(source=QUICK)
        good, secret, weak = issuer.text(), issuer.make("HS256"), issuer.make("RS256", 1024)
        for name, body in {
            "a page": "<html>maintenance</html>",
            "cut off": good[:-9],
            "a member twice": '{"keys": [], ' + good[1:],
            "no keys": '{"keys": []}',
            "no member keys": "{}",
            "a secret": json.dumps({"keys": [secret.document()]}),
            "a weak key": json.dumps({"keys": [weak.document()]}),
            "too large": good[:-1] + " " * 600_000 + "}",
        }.items():
            with self.subTest(name):
                issuer.body, asked = body, issuer.count
                issuer.wait_until_asked(asked + 1)  # so that one answer at least has been looked at
                load.go_on()
                for key in (secret, weak):
                    self.assertIn(gateway.ask(token=issuer.token(key)).status, (401, 503))
        load.end()
        issuer.body = None
        issuer.rotate()
        self.wait_until(gateway, issuer.token(), 200)

    def test_a_flood_of_unknown_kids_costs_few_fetches(self):
        issuer, gateway, load = self.under_load()
        asked, stranger = issuer.count, issuer.make()
        for turn in range(200):
            self.check(gateway, issuer.token(stranger, {"kid": f"random-{turn}"}), 401)
        load.end()
        self.assertLessEqual(issuer.count - asked, 4)
        self.assertGreater(issuer.count - asked, 0)


class Waiting(Host):
    """For a key that is on its way."""

    def test_an_issuer_that_hangs_is_not_waited_for_without_end(self):
        issuer = self.origin()
        gateway = self.host(issuer, source={"fetch_timeout_ms": 300, "connect_timeout_ms": 300})
        self.check(gateway, issuer.token(), 200)
        issuer.free.clear()
        issuer.rotate()
        reply = gateway.ask(token=issuer.token())
        self.assertEqual(reply.status, 503)
        self.assertTrue(1 <= int(reply.headers["Retry-After"]) <= 300)

    def test_a_client_that_goes_keeps_nobody_waiting(self):
        issuer = self.origin()
        gateway = self.host(issuer, source=UNHURRIED)
        self.check(gateway, issuer.token(), 200)
        issuer.free.clear()
        issuer.rotate()
        asked = issuer.count
        gone, stays = gateway.begin(token=issuer.token()), gateway.begin(token=issuer.token())
        issuer.wait_until_asked(asked)
        gone.close()
        issuer.free.set()
        self.assertEqual(gateway.end(stays).status, 200)


class News(Host):
    def test_the_log_tells_what_happens_to_keys(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        gateway.wait_until_said(f'keyturn: keys_changed issuer="{issuer.url}" count=1')
        issuer.up = False
        issuer.rotate()
        self.assertEqual(gateway.ask(token=issuer.token()).status, 503)
        gateway.wait_until_said(f'keyturn: fetch_failed issuer="{issuer.url}"')


class Reloads(UnderLoad):
    def reload(self, gateway, load, times):
        for _ in range(times):
            gateway.reload()
        load.go_on()

    def test_reloads_refuse_nobody(self):
        _, gateway, load = self.under_load()
        self.reload(gateway, load, self.reloads)
        load.end()

    def test_reloads_refuse_nobody_without_a_store(self):
        _, gateway, load = self.under_load(store=False)
        self.reload(gateway, load, 3)
        load.end()

    def test_reloads_refuse_nobody_while_the_issuer_is_down(self):
        issuer, gateway, load = self.under_load()
        gateway.wait_until_stored(issuer.signer.kid)
        issuer.up = False
        self.reload(gateway, load, 3)
        load.end()
