"""mod_keyturn in the real Apache: what holds in every host, in both MPMs, and what is Apache's own."""

import http.client
import os
import re
import signal

import cases
from apache import FOUND, MODULES, OfApache, block, free_port, location
from origin import PATIENCE
from tls import client_context

ON = "Keyturn on\nKeyturnAudiences orders\n"
PROTECTED = f"<Location />\n{ON}</Location>\n"
WATCHED = PROTECTED + """
<Location /metrics>
    Keyturn off
    SetHandler keyturn-metrics
</Location>
<Location /keys>
    Keyturn off
    SetHandler keyturn-keys
</Location>
"""


class Verdicts(cases.Verdicts, OfApache):
    pass


class Rotations(cases.Rotations, OfApache):
    pass


class Reloads(cases.Reloads, OfApache):
    reloads = 5


class Policies(cases.Policies, OfApache):
    pass


class Finding(cases.Finding, OfApache):
    def test_another_scheme_beside_it_does_not_count(self):
        self.answers(200, ("/header", ("Authorization", "Basic Ym9iOnNlY3JldA=="), self.bearer))


class OfPrefork(OfApache):
    """Each process has one request at a time, and keys of its own."""

    mpm = "prefork"


class VerdictsInPrefork(cases.Verdicts, OfPrefork):
    test_each_algorithm_is_verified = test_shared_secrets_are_verified_where_they_are_asked_for = None  # no matter of processes


class RotationsInPrefork(cases.Rotations, OfPrefork):
    test_a_crowd_of_a_new_key_waits_for_one_fetch = None  # wants as many processes, which Apache starts one in a second
    # Event's take their time, and it is the library that they try:
    test_a_poisoned_set_takes_no_key_away_and_brings_none = None
    test_a_removed_key_is_refused_within_the_bound = test_known_keys_outlive_their_issuer = None


class ReloadsInPrefork(cases.Reloads, OfPrefork):
    reloads = 4
    test_reloads_refuse_nobody_without_a_store = None  # of as many caches as processes, each of which would fetch


class Serving(OfApache):
    def server(self, *sections, issuer=None, top="", **options):
        issuer = issuer or self.origin()
        return issuer, self.apache(FOUND.format(folder=self.folder) + top + "".join(sections), issuer=issuer, **options)


class Sections(Serving):
    def test_an_inner_policy_takes_the_place_of_the_outer_one_whole(self):
        issuer, apache = self.server(
            location("/", "Keyturn on"), location("/inner", "KeyturnAudiences inner"),
            location("/inner/open", "Keyturn off"), top="KeyturnAudiences orders\nKeyturnRequire email\n")
        self.assertEqual(apache.ask("/", issuer.token(email="a@b")).status, 200)
        self.assertEqual(apache.ask("/", issuer.token()).status, 401)
        self.assertEqual(apache.ask("/inner", issuer.token(aud="inner")).status, 200)
        self.assertEqual(apache.ask("/inner", issuer.token(email="a@b")).status, 401)
        self.assertEqual(apache.ask("/inner/open").status, 200)

    def test_a_section_without_a_policy_is_closed(self):
        issuer, apache = self.server(location("/", "Keyturn on"), location("/other", ON))
        reply = apache.ask("/", issuer.token())
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (503, "300"))
        self.assertEqual(apache.ask("/other", issuer.token()).status, 200)

    def test_refusals_carry_the_challenge_that_is_configured(self):
        _, apache = self.server(
            location("/", ON), location("/inner", "KeyturnResourceMetadata https://a.example/meta"),
            top='KeyturnRealm "the orders"\n')
        self.assertEqual(apache.ask().headers["WWW-Authenticate"], 'Bearer realm="the orders"')
        self.assertEqual(apache.ask("/inner").headers["WWW-Authenticate"],
                         'Bearer realm="the orders", resource_metadata="https://a.example/meta"')

    def test_a_file_that_the_children_cannot_read_closes_its_sections_alone(self):
        one, two = self.origin(), self.origin()
        path = self.folder / "keys.json"
        path.write_text(one.text())
        path.chmod(0o600)
        apache = self.apache(
            FOUND.format(folder=self.folder) + block(one, {"file": "keys.json"})
            + location("/one", ON, f"KeyturnIssuers {one.url}") + location("/two", ON, f"KeyturnIssuers {two.url}"),
            issuer=two)
        if os.geteuid() == 0:
            self.assertEqual(apache.ask("/one", one.token()).status, 503)
            self.assertIn(f"keyturn: {one.url}: file", apache.said())
        self.assertEqual(apache.ask("/two", two.token()).status, 200)


class Requiring(Serving):
    """A rule is one and the same as a part of the policy, and as a line that Apache puts together with others."""

    RULES = {"present": "email", "equals": "tenant equals blue", "number": "level equals 3", "boolean": "vip equals true",
             "one_of": "tenant one_of green blue", "contains": "/realm_access/roles contains admin root",
             "named": "groups contains 7", "has_word": "scope has_word orders:read", "prefix": "tenant prefix gr bl"}
    GOOD = {"email": "a@b", "tenant": "blue", "scope": "x orders:read", "realm_access": {"roles": ["user", "admin"]},
            "groups": [5, 7], "level": 3, "vip": True}
    POOR = [{"email": None, "tenant": "red", "scope": "orders:readers", "realm_access": {"roles": ["users"]}, "groups": [77],
             "level": 33, "vip": False},
            {"tenant": ["blue"], "scope": ["orders:read"], "realm_access": {"roles": "admin"}, "groups": 7, "level": "03",
             "vip": "True"},
            {"tenant": "", "scope": "", "realm_access": {}, "groups": [], "level": [3], "vip": {"true": True}}]

    def test_a_rule_holds_alike_in_both_places(self):
        issuer, apache = self.server(*(
            location(f"/policy/{name}", ON, f"KeyturnRequire {rule}") for name, rule in self.RULES.items()), *(
            location(f"/line/{name}", ON, f"Require keyturn-claim {rule}") for name, rule in self.RULES.items()))
        good = issuer.token(**self.GOOD)
        for name in self.RULES:
            for place in ("policy", "line"):
                self.assertEqual(apache.ask(f"/{place}/{name}", good).status, 200, (place, name))
            for claims in self.POOR:
                token = issuer.token(**claims)
                told, line = apache.ask(f"/policy/{name}", token), apache.ask(f"/line/{name}", token)
                self.assertIn(told.status, (401, 403), (name, claims))
                self.assertEqual(line.status, 403, (name, claims))  # also where the claim is absent
                self.assertIn("insufficient_scope", line.headers["WWW-Authenticate"])
            self.assertEqual(apache.ask(f"/line/{name}", issuer.forged()).status, 401)

    def test_lines_are_put_together_with_others(self):
        either = "<RequireAny>\nRequire ip 10.0.0.0/8\nRequire keyturn-claim tenant equals blue\n</RequireAny>"
        both = "<RequireAll>\nRequire all granted\nRequire keyturn-claim tenant equals blue\nRequire valid-user\n</RequireAll>"
        issuer, apache = self.server(
            location("/either", ON, either), location("/both", ON, both),
            location("/none", ON, "<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire keyturn-claim banned\n"
                     "</RequireNone>\n</RequireAll>"),
            location("/user", ON, "Require user bob"), location("/granted", ON, "Require all granted"),
            top="RemoteIPHeader X-From\nRemoteIPInternalProxy 127.0.0.1\n")
        blue, inside = issuer.token(tenant="blue"), [("X-From", "10.1.1.1")]
        for path, token, headers, status in [
            ("/either", None, [], 401), ("/either", None, inside, 200), ("/either", blue, [], 200),
            ("/either", issuer.token(), [], 403), ("/either", issuer.forged(), [], 401),
            ("/both", None, inside, 401), ("/both", blue, [], 200), ("/both", issuer.token(), [], 403),
            ("/none", blue, [], 200), ("/none", issuer.token(banned=True), [], 403),
            ("/user", issuer.token(sub="bob"), [], 200), ("/user", issuer.token(), [], 403),
            ("/granted", None, [], 401), ("/granted", blue, [], 200),
        ]:
            reply = apache.ask(path, token, headers)
            self.assertEqual(reply.status, status, (path, token, headers))
            self.assertEqual(reply.headers["WWW-Authenticate"] is None, status == 200)

    def test_a_token_without_the_users_claim_is_no_user(self):
        issuer, apache = self.server(
            location("/", ON, "Require valid-user"), location("/mail", ON, "Require valid-user", "KeyturnUser email"))
        self.assertEqual(apache.ask("/", issuer.token()).status, 200)
        reply = apache.ask("/", issuer.token(sub=None))
        self.assertEqual(reply.status, 401)
        self.assertIn("invalid_token", reply.headers["WWW-Authenticate"])
        self.assertEqual(apache.ask("/mail", issuer.token(sub=None, email="a@b")).status, 200)
        self.assertEqual(apache.access("/mail")[0][9], "a@b")

    def test_optional_lets_pass_whom_no_line_wants(self):
        issuer, apache = self.server(
            location("/", "Keyturn optional\nKeyturnAudiences orders"),
            location("/user", "Require valid-user"), location("/claim", "Require keyturn-claim sub"))
        self.assertEqual(apache.ask().status, 200)
        self.assertEqual(apache.ask(token=issuer.forged()).status, 401)
        for path in ("/user", "/claim"):
            reply = apache.ask(path)
            self.assertEqual((reply.status, reply.headers["WWW-Authenticate"]), (401, "Bearer"))
            self.assertEqual(apache.ask(path, issuer.token()).status, 200)


class Telling(cases.Telling, cases.Modes, OfApache):
    def setUp(self):
        super().setUp()
        self.issuer, self.up = self.origin(), self.upstream()
        self.gateway = self.apache(
            f"ProxyPass / {self.up.url}/\nKeyturnAudiences orders\nKeyturnSetHeader X-User sub\n"
            "KeyturnSetHeader X-Roles /realm/roles\nKeyturnSetEnv subject sub\n"
            "RequestHeader set X-Subject expr=%{reqenv:subject}\n"
            + location("/", "Keyturn on") + location("/off", "Keyturn off") + location("/optional", "Keyturn optional")
            + location("/report", "Keyturn report") + location("/others", "KeyturnSetHeader X-Other sub"), issuer=self.issuer)

    def user(self, reply):
        self.assertEqual([text for text in reply.all("X-Subject") if text], reply.all("X-User"))
        return super().user(reply)

    def test_headers_and_variables_are_the_claims(self):
        token = self.issuer.token(sub="J\u00fcrgen \U0001f642", realm={"roles": ["a,b", "c"]})
        reply = self.gateway.ask("/", token, [*self.forged, ("X-Users", "stays")])
        self.assertEqual([text.encode("latin-1").decode() for text in self.user(reply)], ["J\u00fcrgen \U0001f642"])
        self.assertEqual(reply.all("X-Roles"), ['["a,b","c"]'])
        self.assertEqual(reply.all("X-Subject"), reply.all("X-User"))
        self.assertEqual(reply.all("X-Users"), ["stays"])


class Bound(cases.Bound, OfApache):
    def bound(self, issuer, certificate):
        (self.folder / "html" / "unaware").touch()
        self.port = free_port()
        return self.apache(
            f"LoadModule ssl_module {MODULES}/mod_ssl.so\nListen 127.0.0.1:{self.port}\n<VirtualHost *:{self.port}>\nSSLEngine on\n"
            f"SSLCertificateFile {certificate}\nSSLVerifyClient optional_no_ca\n</VirtualHost>\n"
            + location("/", ON, "KeyturnHostConfirms on") + location("/unaware", ON), issuer=issuer)

    def over_tls(self, gateway, certificate):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, context=client_context(certificate))
        self.addCleanup(connection.close)
        return connection


class Redirecting(Serving):
    def test_a_redirect_and_a_subrequest_are_one_request(self):
        """One verification: the metrics are of requests. A subrequest comes of mod_dir, which looks for index.html."""
        issuer = self.origin()
        apache = self.apache(WATCHED + f"Alias /docs {self.folder}/html\n<Files index.html>\nKeyturnSetEnv subject sub\n</Files>\n",
                             issuer=issuer)
        for _ in range(3):
            self.assertEqual(apache.ask("/docs/", issuer.token()).body, "welcome")
        # Each child adds what it has counted once a second.
        apache.wait_for(lambda: {apache.metric("tokens_total", status="JWT_OK") for _ in range(20)} == {3})

    def test_a_page_for_a_refusal_may_be_beside_it(self):
        issuer = self.origin()
        (self.folder / "html" / "login.html").write_text("log in")
        apache = self.apache(PROTECTED + location("/login.html", "Keyturn off") + "ErrorDocument 401 /login.html\n", issuer=issuer)
        reply = apache.ask("/", issuer.forged())
        self.assertEqual((reply.status, reply.body), (401, "log in"))
        self.assertIn("invalid_token", reply.headers["WWW-Authenticate"])
        self.assertEqual(apache.access("/")[0][2], "JWT_BAD_SIGNATURE")


class Pages(OfApache):
    def test_metrics_and_keys(self):
        issuer = self.origin()
        issuer.published += [issuer.make() for _ in range(60)]
        apache = self.apache(WATCHED, issuer=issuer)
        for token in (issuer.token(), issuer.token(), issuer.forged()):
            apache.ask(token=token)
        apache.wait_for(lambda: apache.metric("tokens_total", status="JWT_OK") == 2)  # of all processes
        apache.wait_for(lambda: apache.metric("tokens_total", status="JWT_BAD_SIGNATURE") == 1)
        self.assertEqual(apache.ask("/metrics").headers["Content-Type"], "text/plain; version=0.0.4")
        self.assertEqual(apache.ask("/metrics", method="POST").status, 405)
        self.assertEqual(apache.ask("/metrics", method="HEAD").body, "")
        told = []
        apache.wait_for(lambda: told.extend(apache.keys()) or told[-1]["ready"])  # a child answers that has read the store
        self.assertEqual((told[-1]["issuer"], told[-1]["state"]), (issuer.url, "fresh"))
        self.assertEqual(len(told[-1]["keys"]), 61)


class Configuring(OfApache):
    """`apachectl -t`."""

    def refusal(self, server=PROTECTED, top="", issuer="KeyturnJwksUrl https://a.example/k"):
        if issuer is not None:
            top += f"\n<KeyturnIssuer https://a.example>\n{issuer}\n</KeyturnIssuer>\n"
        apache = self.apache(top + server, start=False)
        status, said = apache.test()
        self.assertEqual(status, 1, said)
        return apache, said

    def test_what_is_wrong_is_told_with_its_line(self):
        for where, what, sentence in [
            ("issuer", "KeyturnJwksUrls https://a.example/k", "KeyturnJwksUrls: no such option of an issuer"),
            ("issuer", "JwksUrl https://a.example/k", "no such option of an issuer"),
            ("issuer", "KeyturnJwksUrl http://a.example/k", "jwks_url"),
            ("issuer", "KeyturnHardLimitMs 1\nKeyturnJwksUrl https://a.example/k", "hard_limit_ms"),
            ("issuer", "KeyturnMaxKeys many", "max_keys: the value must be a number from 1 on"),
            ("issuer", "KeyturnLazy yes", 'lazy: the value must be "on" or "off"'),
            ("issuer", "KeyturnFile /nowhere", "file"),
            ("issuer", "KeyturnDiscovery openid\nKeyturnDiscovery openid", "discovery: is given twice"),
            ("server", "Keyturn maybe", "on, off, optional or report"),
            ("server", "Keyturn on", "audiences"),
            ("server", "KeyturnLeewayS 60", "audiences"),
            ("server", "KeyturnAlgorithms none\nKeyturnAudiences orders", "algorithms"),
            ("server", "KeyturnLeewayS 601\nKeyturnAudiences orders", "leeway_s"),
            ("server", "KeyturnRequire sub is alice", "require"),
            ("server", "KeyturnRequire sub equals\nKeyturnAudiences orders", "rules[0]"),
            ("server", location("/", "Require keyturn-claim sub is alice"), "keyturn-claim"),
            ("server", location("/", "Require keyturn-claim sub equals"), "rules[0]"),
            ("server", "KeyturnIssuers https://b.example\nKeyturnAudiences orders", "no such <KeyturnIssuer>"),
            ("server", "KeyturnSetHeader Host sub", "Apache itself reads this header"),
            ("server", 'KeyturnSetHeader "X User" sub', "no name of a header"),
            ("server", "KeyturnToken body", "header, cookie=NAME or arg=NAME"),
            ("server", location("/", "<Limit GET>", ON, "</Limit>"), "cannot occur within <Limit>"),
            ("server", location("/", "KeyturnStore off"), "not allowed"),
            ("top", "KeyturnMaxFetches 100000", "max_fetches"),
            ("top", "<KeyturnIssuer https://a.example>\nKeyturnJwksUrl https://a.example/k\n</KeyturnIssuer>", "issuer"),
        ]:
            with self.subTest(what):
                apache, said = self.refusal(**{where: what})
                self.assertIn(sentence, said)
                place = re.search(rf"on line (\d+) of {re.escape(str(apache.configuration))}", said)
                self.assertIsNotNone(place, said)
                line = apache.text.splitlines()[int(place[1]) - 1].split()[0].strip("<")
                self.assertIn(line, what, said)

    def test_an_issuer_is_needed_and_chosen(self):
        self.assertIn("there is no <KeyturnIssuer>", self.refusal(issuer=None)[1])
        more = "<KeyturnIssuer https://b.example>\nKeyturnJwksUrl https://b.example/k\n</KeyturnIssuer>\n"
        self.assertIn("KeyturnIssuers says which", self.refusal(top=more)[1])

    def test_it_leaves_nothing_behind(self):
        apache = self.apache(block(self.origin()) + PROTECTED, start=False)
        before = sorted(self.folder.rglob("*"))
        status, said = apache.test()
        self.assertEqual((status, said), (0, "Syntax OK\n"))
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        apache.start()
        self.assertEqual(apache.store.stat().st_uid, apache.childrens_user)
        self.assertEqual(apache.store.stat().st_mode & 0o777, 0o700)

    def test_a_module_that_is_not_configured_does_nothing(self):
        apache = self.apache()
        self.assertEqual(apache.ask().status, 200)
        self.assertFalse(apache.store.exists())


class Living(cases.Waiting, cases.News, OfApache):
    def test_children_share_a_fetch(self):
        issuer = self.origin()
        apache = self.apache(WATCHED, issuer=issuer, mpm="prefork")
        for _ in range(40):
            self.assertEqual(apache.ask(token=issuer.token()).status, 200)
        self.assertEqual(issuer.count, 1)

    def test_a_child_that_is_killed_is_replaced_by_one_with_keys(self):
        issuer = self.origin()
        apache = self.apache(WATCHED, issuer=issuer)
        token = issuer.token()
        self.assertEqual(apache.ask(token=token).status, 200)
        apache.wait_until_stored(issuer.signer.kid)
        issuer.up = False
        for child in (killed := apache.children()):
            os.kill(child, signal.SIGKILL)
        apache.wait_for(lambda: apache.children() and not killed & apache.children())
        self.assertEqual(apache.ask(token=token).status, 200)

    def test_an_end_does_not_wait_for_requests_that_wait(self):
        """In prefork it comes in the midst of them, by a signal handler."""
        for mpm in ("event", "prefork"):
            with self.subTest(mpm):
                issuer = self.origin()
                apache = self.apache(WATCHED, issuer=issuer, mpm=mpm)
                self.assertEqual(apache.ask(token=issuer.token()).status, 200)
                issuer.free.clear()
                asked = issuer.count
                issuer.rotate()
                apache.begin(token=issuer.token())
                issuer.wait_until_asked(asked)
                children = apache.children()
                apache.stop()
                issuer.free.set()
                self.assertEqual(apache.process.returncode, 0)
                self.assertTrue(children)
                for word in ("SIGKILL", "exit signal", "still did not exit"):
                    self.assertNotIn(word, apache.said())

    def test_a_store_that_cannot_be_used_costs_no_request(self):
        issuer = self.origin()
        (self.folder / "keyturn").mkdir()
        os.chmod(self.folder / "keyturn", 0o777)
        apache = self.apache(WATCHED, issuer=issuer)
        self.assertEqual(apache.ask(token=issuer.token()).status, 200)
        self.assertIn("the store cannot be used", apache.said())
