"""The module for Envoy in the real Envoy: what a request is answered."""

import json

import cases
from envoy import OfEnvoy
from http2 import Streams
from origin import Upstream
from tls import TLSConnection

ORDERS = {"audiences": ["orders"]}
PAGES = {"/metrics": {"mode": "off", "metrics": True}, "/keys": {"mode": "off", "keys": True}}


class Verdicts(cases.Verdicts, OfEnvoy):
    too_large = 70_000


class Rotations(cases.Rotations, OfEnvoy):
    pass


class Reloads(cases.Reloads, OfEnvoy):
    pass


class Policies(cases.Policies, OfEnvoy):
    pass


class Finding(cases.Finding, OfEnvoy):
    x_token = "header=X-Token"

    def test_a_header_of_its_own_is_there_once(self):
        self.answers(400, ("/named", *2 * [("X-Token", self.token)]))


class Routes(OfEnvoy):
    """Options of routes, over those of the filter."""

    def test_what_a_route_does_not_say_the_filter_says(self):
        one, two = self.origin(), self.origin()
        envoy = self.envoy(
            ORDERS, {"/one": {"issuers": one.url}, "/other": {"issuers": ["https://other.example"]}, "/off": {"mode": "off"}},
            issuer=[one, two])
        for path, token, status in [
            ("/one", one.token(), 200), ("/one", one.token(aud="others"), 401), ("/one", two.token(), 401),
            ("/", one.token(), 200), ("/", two.token(), 200), ("/", two.token(signer=one.signer), 401), ("/", None, 401),
            ("/off", None, 200),
        ]:
            self.assertEqual(envoy.ask(path, token).status, status, path)
        closed = envoy.ask("/other", one.token())
        self.assertEqual((closed.status, closed.headers["Retry-After"]), (503, "300"))
        envoy.wait_until_said("a route is closed: issuers https://other.example")

    def test_refusals_carry_a_challenge(self):
        envoy = self.envoy(
            ORDERS | {"realm": 'the "orders"'}, {"/meta": {"resource_metadata": "https://a.example/meta"}}, issuer=self.origin())
        self.assertEqual(envoy.ask().headers["WWW-Authenticate"], 'Bearer realm="the \\"orders\\""')
        self.assertEqual(envoy.ask("/meta").headers["WWW-Authenticate"],
                         'Bearer realm="the \\"orders\\"", resource_metadata="https://a.example/meta"')

    def test_grpc_is_told_by_its_own_status(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, {"/rule": {"require": [["tenant", "equals", "blue"]]}}, issuer=issuer)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        grpc = [("Content-Type", "application/grpc+proto")]
        bearer = ("Authorization", f"Bearer {issuer.token()}")

        def told(path="/", token=None, more=()):
            reply = envoy.ask(path, token, [*grpc, *more])
            self.assertEqual((reply.status, reply.headers["Content-Type"], reply.body), (200, "application/grpc", ""))
            return reply.headers["grpc-status"]

        self.assertEqual(told(), "16")
        self.assertEqual(told("/rule", issuer.token(tenant="red")), "7")
        self.assertEqual(told(more=[bearer, bearer]), "13")
        issuer.up = False
        self.assertEqual(told(token=issuer.token(issuer.make())), "14")  # after it was parked
        for kind in ("application/grpcs", "text/plain"):
            self.assertEqual(envoy.ask(headers=[("Content-Type", kind)]).status, 401)


class Modes(cases.Modes, OfEnvoy):
    def setUp(self):
        super().setUp()
        self.issuer = self.origin()
        self.gateway = self.envoy(
            ORDERS | {"set_header": {"X-User": "sub", "X-Roles": "/realm/roles"}},
            {"/optional": {"mode": "optional"}, "/report": {"mode": "report"}, "/off": {"mode": "off"}},
            issuer=self.issuer, upstream=self.upstream())

    def test_reports_are_counted(self):
        for token in (None, self.issuer.forged(), self.issuer.token()):
            self.gateway.ask("/report", token)
        self.assertEqual(self.gateway.statistic("reports"), 2)


class Claims(cases.Telling, OfEnvoy):
    unverified = "/plain"
    empty = []  # Envoy adds no empty header
    forged = [*cases.Telling.forged, ("x-N", "forged"), ("x~n", "forged")]

    def setUp(self):
        super().setUp()
        self.issuer, self.up = self.origin(), self.upstream()
        self.gateway = self.envoy(
            ORDERS | {"set_header": {"X-User": "sub", "X-Roles": "/realm/roles", "x-n": "n"},
                      "set_metadata": {"user": "sub", "roles": "/realm/roles", "n": "n", "b": "b", "long": "text"},
                      "log": ["issuer", "kid", "key_age", "token_digest"]},
            {"/plain": {"mode": "off"}, "/report": {"mode": "report"}, "/brief": {"log": None, "set_metadata": None},
             "/others": {"set_header": {"X-Other": "sub"}}},
            issuer=self.issuer, upstream=self.up)

    def test_headers_and_metadata_are_the_claims(self):
        token = self.issuer.token(sub="Jürgen 🙂", realm={"roles": ["a,b", "c"]}, n=7, b=True, text="a\r\nb")
        reply = self.gateway.ask("/", token)
        self.assertEqual(reply.all("X-User")[0].encode("latin-1").decode(), "Jürgen 🙂")
        self.assertEqual(reply.all("X-Roles"), ['["a,b","c"]'])
        self.assertEqual(reply.all("X-N"), ["7"])
        told = json.loads(self.gateway.access("/")[0][7])
        self.assertEqual(told, {"user": "Jürgen 🙂", "roles": '["a,b","c"]', "n": 7, "b": True})  # and no line break

    def test_streams_of_one_connection_have_each_their_own(self):
        client = Streams(self, self.gateway.socket)
        names = {client.begin(self.issuer.token(sub=f"user-{number}")): f"user-{number}" for number in range(40)}
        for stream, body in client.bodies(40).items():
            told = [value for name, value in json.loads(body)["headers"] if name.lower() == "x-user"]
            self.assertEqual(told, [names[stream]])

    def test_metadata_are_of_their_request(self):
        connection = self.gateway.connection()
        for path, token in (("/one", self.issuer.token()), ("/plain", None), ("/two", self.issuer.token(sub=None))):
            self.gateway.ask(path, token, on=connection)
        told = {path: self.stories(path)[0]["claims"] for path in ("/one", "/plain", "/two")}
        self.assertEqual(told, {"/one": '{"user":"alice"}', "/plain": "-", "/two": "-"})

    def test_a_report_tells_of_no_claim_that_could_end_a_header(self):
        self.assertEqual(self.gateway.ask("/report", self.issuer.token(sub="a\nb")).all("X-User"), [])

    def test_the_log_tells_what_the_module_and_the_route_say(self):
        self.assertEqual(self.gateway.ask("/one", self.issuer.token()).status, 200)  # so that nothing waits for keys any more
        self.gateway.ask("/two", self.issuer.token() + "x")
        (told,) = self.stories("/two")
        self.assertEqual(told["details"], "keyturn_JWT_BAD_BASE64")
        self.assertEqual([told[name] for name in ("issuer", "kid", "waited", "claims", "age")], ["-"] * 5)
        self.gateway.ask("/brief", self.issuer.token())
        self.assertEqual(self.gateway.access("/brief")[0][3:], ["JWT_OK", *["-"] * 6])

    def test_no_log_holds_a_token(self):
        self.gateway.stop()
        self.gateway = self.envoy(ORDERS, issuer=self.issuer, log="debug")
        super().test_no_log_holds_a_token()


class Bound(cases.Bound, OfEnvoy):
    def bound(self, issuer, certificate):
        return self.envoy(
            ORDERS | {"host_confirms": True}, {"/unaware": {"host_confirms": False}}, issuer=issuer, certificate=certificate)

    def over_tls(self, gateway, certificate):
        return TLSConnection(self, gateway.socket, certificate)

    def without_tls(self, gateway):
        gateway.certificate = None
        self.assertTrue(gateway.push())


class Redirecting(Upstream):
    """Sends who asks with ?to=PATH there."""

    def answer(self, handler):
        _, _, to = handler.path.partition("?to=")
        if not to:
            return super().answer(handler)
        self.reply(handler, {}, 302, [("Location", f"http://localhost{to}")])


class Redirects(OfEnvoy):
    """Envoy follows an upstream's redirect by itself: another request, which begins anew."""

    def test_a_redirect_takes_no_claims_along(self):
        issuer, up = self.origin(), Redirecting(self)
        envoy = self.envoy(
            ORDERS | {"set_header": {"X-User": "sub"}}, {"/plain": {"mode": "off"}, "/more": {"audiences": ["others"]}},
            issuer=issuer, upstream=up, redirects=True)
        reply = envoy.ask("/moved?to=/plain", issuer.token())
        self.assertEqual((reply.status, reply.json()["path"]), (200, "/plain"))
        self.assertEqual(reply.all("X-User"), [])
        self.assertEqual(envoy.ask("/moved?to=/again", issuer.token()).all("X-User"), ["alice"])
        self.assertEqual(envoy.ask("/moved?to=/more", issuer.token()).status, 401)


class Pages(OfEnvoy):
    def test_metrics_and_keys(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, PAGES | {"/per_key": {"mode": "off", "metrics": "per_key"}, "/guarded": {"keys": True}}, issuer=issuer)
        for token in (issuer.token(), issuer.token(), issuer.forged()):
            envoy.ask(token=token)
        self.assertEqual(envoy.metric("tokens_total", status="JWT_OK"), 2)
        self.assertEqual(envoy.metric("tokens_total", status="JWT_BAD_SIGNATURE"), 1)
        self.assertEqual(envoy.ask("/metrics").headers["Content-Type"], "text/plain; version=0.0.4")
        self.assertNotIn(issuer.signer.kid, envoy.ask("/metrics").body)
        self.assertIn(issuer.signer.kid, envoy.ask("/per_key").body)
        self.assertEqual(envoy.ask("/metrics", method="HEAD").body, "")
        self.assertEqual(envoy.ask("/guarded").status, 401)
        (told,) = envoy.keys()
        self.assertEqual((told["issuer"], told["state"], told["ready"]), (issuer.url, "fresh", True))
        self.assertEqual([key["kid"] for key in told["keys"]], [issuer.signer.kid])
        self.assertEqual(told["keys"][0]["accepted"], 2)

    def test_many_keys_are_told_whole(self):
        issuer = self.origin()
        for _ in range(60):
            issuer.publish(issuer.make())
        envoy = self.envoy(ORDERS, PAGES, issuer=issuer)
        envoy.ask(token=issuer.token())
        self.assertEqual(len(envoy.keys()[0]["keys"]), 61)

    def test_envoys_own_statistics_tell_of_tokens(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, issuer=issuer, threads=4)
        for _ in range(10):
            envoy.ask(token=issuer.token())
            envoy.ask(token=issuer.forged())
        envoy.ask()
        self.assertEqual(envoy.statistic("tokens", status="JWT_OK"), 10)
        self.assertEqual(envoy.statistic("tokens", status="JWT_BAD_SIGNATURE"), 10)
        self.assertEqual(envoy.statistic("tokens", status="JWT_MISSING"), 1)
        self.assertEqual(envoy.statistic("tokens"), 21)


class Configuring(OfEnvoy):
    GOOD = {"issuers": [{"issuer": "https://a.example", "jwks_url": "https://a.example/k", "lazy": True}]} | ORDERS

    def refuse(self, envoy, filter, routes, sentence):
        already = len(envoy.said())
        self.assertFalse(envoy.push(filter, routes), sentence)
        envoy.wait_for(lambda: sentence in envoy.said()[already:])

    def test_what_is_wrong_is_told_with_its_name_and_changes_nothing(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, issuer=issuer)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        good, envoy.issuers = envoy.issuers, []

        def with_issuer(**options):
            return {"issuers": [{"issuer": "https://a.example", "jwks_url": "https://a.example/k"} | options]} | ORDERS

        for filter, sentence in [
            ("{", "filter_config: "),
            ("[]", "filter_config: it must be a JSON object"),
            ('{"mode": "on", "mode": "off"}', "filter_config: "),
            (ORDERS, "issuers: a list of issuers is wanting"),
            (self.GOOD | {"issuers": self.GOOD["issuers"] * 2}, "issuers: one of them is there twice"),
            (with_issuer(jwks_urls="https://a.example/k"), "issuers[0].jwks_urls: there is no such option of an issuer"),
            (with_issuer(jwks_url=None), "issuers[0].jwks_url: the value must be a text"),
            (with_issuer(jwks_url="http://a.example/k"), "issuers[0].jwks_url: "),
            (with_issuer(hard_limit_ms=1), "issuers[0].hard_limit_ms: "),
            (with_issuer(max_keys="many"), "issuers[0].max_keys: the value must be a number from 1 on"),
            (with_issuer(max_keys=1.5), "issuers[0].max_keys: "),
            (with_issuer(lazy="yes"), 'issuers[0].lazy: the value must be "on" or "off"'),
            (with_issuer(jwks_url="https://a.example/k", file="/nowhere"), "issuers[0]."),
            ({"issuers": [{"issuer": "https://a.example", "file": "/nowhere"}]} | ORDERS, "issuers[0].file: "),
            ({"issuers": [{"issuer": "https://a.example"}]} | ORDERS, "issuers[0].jwks_url: jwks_url, discovery or file is wanting"),
            ({"issuers": [{"jwks_url": "https://a.example/k"}]} | ORDERS, "issuers[0].issuer: "),
            (self.GOOD | {"audience": "orders"}, "audience: there is no such option"),
            (self.GOOD | {"audiences": None}, "audiences: "),
            (self.GOOD | {"mode": "maybe"}, "mode: it is on, off, optional or report"),
            (self.GOOD | {"algorithms": ["none"]}, "algorithms: "),
            (self.GOOD | {"leeway_s": 601}, "leeway_s: "),
            (self.GOOD | {"require": [["sub", "is", "alice"]]}, "require[0]: "),
            (self.GOOD | {"require": [["email"], ["sub", "equals"]]}, "require[1]"),
            (self.GOOD | {"require": "sub"}, "require: "),
            (self.GOOD | {"set_header": {"Host": "sub"}}, "set_header.Host: Envoy itself uses this header"),
            (self.GOOD | {"set_header": {"X_Forwarded_For": "sub"}}, "set_header.X_Forwarded_For: Envoy itself uses this header"),
            (self.GOOD | {"set_header": {"X User": "sub"}}, "set_header.X User: this is no name of a header"),
            (self.GOOD | {"set_metadata": ["sub"]}, "set_metadata: "),
            (self.GOOD | {"log": ["kid", "token"]}, "log: what can be told is issuer, kid, key_age, token_digest"),
            (self.GOOD | {"token": "body"}, "token: a token is in header, header=NAME, cookie=NAME or arg=NAME"),
            (self.GOOD | {"realm": "a\nb"}, "realm"),
            (self.GOOD | {"max_fetches": 100000}, "max_fetches: "),
            (self.GOOD | {"store": "/proc/none"}, "store: "),
        ]:
            with self.subTest(sentence):
                self.refuse(envoy, filter, None, f"keyturn: a filter is refused: {sentence}")
                self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        # What is wrong at the end has not put in force what is right before it.
        of_none = [each | {"algorithms": ["RS256"]} for each in good]
        self.refuse(envoy, {"issuers": of_none} | ORDERS | {"leeway_s": 601}, None, "keyturn: a filter is refused: leeway_s: ")
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        envoy.issuers = good
        for said, sentence in [
            ({"audience": "orders"}, "audience: there is no such option"),
            ({"store": "/tmp"}, "store: there is no such option"),
            ({"leeway_s": 601}, "leeway_s: "),
            ({"require": [["sub", "is", "alice"]]}, "require[0]: "),
            ({"metrics": "all"}, "metrics: "),
            ({"set_header": {"Host": "sub"}}, "set_header.Host: "),
        ]:
            with self.subTest(sentence):
                self.refuse(envoy, ORDERS, {"/route": said}, f"keyturn: a route is refused: {sentence}")
        self.assertTrue(envoy.push(ORDERS, {"/route": {"mode": "off"}}))
        self.assertEqual(envoy.ask("/route").status, 200)
        self.assertEqual(issuer.count, 1)

    def test_it_is_tried_out_without_an_issuer_and_without_a_store(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, {"/route": {"mode": "off"}}, issuer=issuer, start=False)
        status, said = envoy.validate()
        self.assertEqual(status, 0, said)
        self.assertEqual((issuer.count, envoy.store.exists()), (0, False))
        envoy.configure(ORDERS | {"leeway_s": 601})
        status, said = envoy.validate()
        self.assertEqual(status, 1)
        self.assertIn("keyturn: a filter is refused: leeway_s: ", said)
