"""ngx_http_keyturn_module in the real nginx: what a request is answered."""

import re

import cases
from host import AS_ROOT
from nginx import FOUND, OfNginx

PROTECTED = "location / { keyturn on; keyturn_audiences orders; }"
WATCHED = PROTECTED + "location = /metrics { keyturn_metrics; } location = /keys { keyturn_keys; }"


class Verdicts(cases.Verdicts, OfNginx):
    pass


class Policies(cases.Policies, OfNginx):
    pass


class Finding(cases.Finding, OfNginx):
    x_token = "$http_x_token"


class Verifying(OfNginx):
    def test_a_server_may_leave_its_policy_to_its_locations(self):
        issuer = self.origin()
        nginx = self.nginx(
            "keyturn on; location /one { keyturn_audiences one; } location /two { keyturn_audiences two; }"
            + FOUND.replace("return", "keyturn off; return"), issuer=issuer)
        self.assertEqual(nginx.ask("/one", issuer.token(aud="one")).status, 200)
        self.assertEqual(nginx.ask("/two", issuer.token(aud="one")).status, 401)
        self.assertEqual(nginx.ask("/three", issuer.token(aud="one")).status, 503)

    def test_refusals_carry_a_challenge(self):
        nginx = self.nginx(
            PROTECTED + 'keyturn_realm "the \\"orders\\""; keyturn_resource_metadata https://a.example/meta;',
            issuer=self.origin())
        self.assertEqual(
            nginx.ask().headers["WWW-Authenticate"],
            'Bearer realm="the \\"orders\\"", resource_metadata="https://a.example/meta"')
        self.assertIn('error="invalid_token"', nginx.ask(token="a.b.c").headers["WWW-Authenticate"])

    def test_an_error_page_that_is_refused_too_adds_no_second_challenge(self):
        issuer = self.origin()
        nginx = self.nginx("keyturn on; keyturn_audiences orders; error_page 401 503 /login;"
                           "location / { } location /login { keyturn_realm login; }", issuer=issuer)
        self.assertEqual(nginx.ask().headers.get_all("WWW-Authenticate"), ['Bearer realm="login"'])
        issuer.up = False
        issuer.rotate()
        self.assertEqual(len(nginx.ask(token=issuer.token()).headers.get_all("Retry-After")), 1)

    def test_keys_may_come_from_a_file(self):
        issuer = self.origin()
        (self.folder / "keys.json").write_text(issuer.text())
        nginx = self.nginx(PROTECTED, f"keyturn_issuer {issuer.url} {{ file keys.json; }}")
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        self.assertEqual(nginx.ask(token=issuer.forged()).status, 401)
        self.assertEqual(issuer.count, 0)

    def test_a_file_that_the_workers_cannot_read_closes_its_locations_alone(self):
        one, two = self.origin(), self.origin()
        path = self.folder / "keys.json"
        path.write_text(one.text())
        path.chmod(0o600)
        nginx = self.nginx(
            f"keyturn_audiences orders; location /one {{ keyturn on; keyturn_issuers {one.url}; }}"
            f"location / {{ keyturn on; keyturn_issuers {two.url}; }}",
            f"keyturn_issuer {one.url} {{ file keys.json; }}", issuer=[two])
        if AS_ROOT:
            self.assertEqual(nginx.ask("/one", one.token()).status, 503)
            self.assertIn(f"keyturn: {one.url}: file", nginx.said())
        self.assertEqual(nginx.ask("/", two.token()).status, 200)


class Modes(cases.Modes, OfNginx):
    def setUp(self):
        super().setUp()
        self.issuer, self.up = self.origin(), self.upstream()
        self.gateway = self.nginx(
            "keyturn_audiences orders; keyturn_set_header X-User sub; keyturn_set_header X-Roles /realm/roles;"
            "location /optional { keyturn optional; proxy_pass %(up)s; } location /report { keyturn report; proxy_pass %(up)s; }"
            "location /off { keyturn off; proxy_pass %(up)s; }"
            "location /any { satisfy any; keyturn on; allow %(allow)s; deny all; proxy_pass %(up)s; }"
            "location /basic { satisfy any; keyturn on; auth_basic realm; auth_basic_user_file %(folder)s/users;"
            "                  proxy_pass %(up)s; }"
            "location /all { keyturn on; auth_basic realm; auth_basic_user_file %(folder)s/users; proxy_pass %(up)s; }"
            "location /reported { satisfy any; keyturn report; deny all; proxy_pass %(up)s; }"
            % {"up": self.up.url, "allow": "$" and "10.0.0.0/8", "folder": self.folder},
            "set_real_ip_from unix:; real_ip_header X-From;", issuer=self.issuer)
        (self.folder / "users").write_text("bob:{PLAIN}secret\n")
        (self.folder / "users").chmod(0o644)
        self.basic = ("Authorization", "Basic Ym9iOnNlY3JldA==")

    def test_report_lets_in_nobody_whom_another_keeps_out(self):
        self.assertEqual(self.gateway.ask("/reported", self.issuer.token()).status, 403)

    def test_satisfy_any_is_content_with_another(self):
        inside, outside = ("X-From", "10.1.1.1"), ("X-From", "192.0.2.1")
        reply = self.gateway.ask("/any", headers=(inside, *self.forged))
        self.assertEqual(self.user(reply), [])
        self.assertIsNone(reply.headers["WWW-Authenticate"])
        self.assertEqual(self.user(self.gateway.ask("/any", self.issuer.token(), (outside, *self.forged))), ["alice"])
        self.assertEqual(self.gateway.ask("/any", self.issuer.forged(), (outside,)).status, 401)
        self.assertEqual(self.user(self.gateway.ask("/basic", headers=(self.basic, *self.forged))), [])
        self.assertEqual(self.user(self.gateway.ask("/basic", self.issuer.token(), self.forged)), ["alice"])
        self.assertEqual(self.gateway.ask("/basic").status, 401)

    def test_satisfy_all_wants_all(self):
        self.assertEqual(self.gateway.ask("/all", self.issuer.token()).status, 401)
        self.assertEqual(self.gateway.ask("/all", headers=(self.basic,)).status, 401)


class Claims(cases.Telling, OfNginx):
    unverified = "/plain"

    def setUp(self):
        super().setUp()
        self.issuer, self.up = self.origin(), self.upstream()
        self.gateway = self.nginx(
            "keyturn on; keyturn_audiences orders; keyturn_set_header X-User sub; keyturn_set_header X-Roles /realm/roles;"
            "proxy_set_header X-Claim $jwt_claim_sub; proxy_set_header X-Kid $jwt_header_kid;"
            "proxy_set_header X-All $jwt_claims; proxy_set_header X-First $first_role; proxy_set_header X-Name $full_name;"
            "location / { proxy_pass %(up)s; }"
            "location /moved { rewrite ^ /plain last; } location /tried { try_files /nothing @plain; }"
            "location /failed { keyturn_type at+jwt; error_page 401 =200 /plain; proxy_pass %(up)s; }"
            "location /plain { keyturn off; proxy_pass %(up)s; } location @plain { keyturn off; proxy_pass %(up)s; }"
            "location /seen { if ($http_x_user = mallory) { set $seen 1; } proxy_set_header X-Seen $http_x_user; proxy_pass %(up)s;"
            "  location /seen/optional { if ($http_x_user = mallory) { set $seen 1; } keyturn optional;"
            "                            proxy_set_header X-Seen $http_x_user; proxy_pass %(up)s; } }"
            "location /others { keyturn_set_header X-Other sub; proxy_pass %(up)s; }"
            "location /asked { auth_request /auth; proxy_pass %(up)s; }"
            "location /auth { internal; proxy_pass %(up)s/auth; proxy_pass_request_body off; }"
            % {"up": self.up.url},
            "keyturn_claim_set $first_role /realm/roles/0; keyturn_claim_set $full_name fullName;", issuer=self.issuer)

    def user(self, reply):
        self.assertEqual(reply.all("X-Claim"), reply.all("X-User"))
        return super().user(reply)

    def test_headers_and_variables_are_the_claims(self):
        token = self.issuer.token(realm={"roles": ["a,b", "c"]}, fullName="Jürgen 🙂")
        reply = self.gateway.ask("/", token)
        self.assertEqual(reply.all("X-User"), ["alice"])
        self.assertEqual(reply.all("X-Roles"), ['["a,b","c"]'])
        self.assertEqual(reply.all("X-Claim"), ["alice"])
        self.assertEqual(reply.all("X-Kid"), [self.issuer.signer.kid])
        self.assertEqual(reply.all("X-First"), ["a,b"])
        self.assertEqual(reply.all("X-Name")[0].encode("latin-1").decode(), "Jürgen 🙂")
        self.assertIn('"sub":"alice"', reply.all("X-All")[0].replace(" ", ""))

    def test_a_claim_that_could_end_a_header_is_absent_in_variables(self):
        self.assertEqual(self.gateway.ask("/", self.issuer.token(fullName="a\r\nX-Evil: 1")).all("X-Name"), [])

    def test_a_variable_that_was_asked_for_before_tells_the_claim(self):
        for path in ("/seen", "/seen/optional"):
            self.assertEqual(self.gateway.ask(path, self.issuer.token(), [("X-User", "mallory")]).all("X-Seen"), ["alice"])
        self.assertEqual(self.gateway.ask("/seen/optional", headers=[("X-User", "mallory")]).all("X-Seen"), [])

    def test_users_side_by_side_have_each_their_own(self):
        for name in self.side_by_side():  # also after the upstream's answer
            self.assertEqual([story["user"] for story in self.stories(f"/{name}")], [name])

    def test_an_internal_redirect_keeps_the_request_together(self):
        self.assertEqual(self.gateway.ask("/tried", self.issuer.token()).all("X-Claim"), ["alice"])
        self.assertEqual(self.gateway.ask("/moved", self.issuer.token()).all("X-Claim"), [])  # none was verified
        refused = self.gateway.ask("/failed", self.issuer.token())
        self.assertEqual((refused.status, refused.all("X-Claim")), (200, []))
        self.assertEqual(self.gateway.access("/failed")[0][2], "JWT_TYPE_MISMATCH")  # known to the log all the same

    def test_a_subrequest_has_what_its_request_has(self):
        reply = self.gateway.ask("/asked", self.issuer.token(sub="bob"), [("X-User", "forged")])
        self.assertEqual(reply.all("X-User"), ["bob"])
        asked = next(fields for path, fields in self.up.seen if path == "/auth")
        self.assertEqual([value for name, value in asked if name.lower() in ("x-user", "x-claim")], ["bob", "bob"])
        self.assertEqual(self.gateway.ask("/asked", headers=[("X-User", "forged")]).status, 401)


class Bound(cases.Bound, OfNginx):
    def bound(self, issuer, certificate):
        (self.folder / "html" / "unaware").touch()
        policy = "keyturn on; keyturn_audiences orders; keyturn_host_confirms on; location /unaware { keyturn_host_confirms off; }"
        return self.nginx(issuer=issuer, servers=(
            f"server {{ listen unix:{self.folder}/nginx.sock; root {self.folder}/html; {policy} }}"
            f"server {{ listen unix:{self.folder}/tls.sock ssl; root {self.folder}/html; {policy}"
            f"  ssl_certificate {certificate}; ssl_certificate_key {certificate}; ssl_verify_client optional_no_ca; }}"))


class Pages(OfNginx):
    def test_metrics_and_keys(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer)
        for token in (issuer.token(), issuer.token(), issuer.forged()):
            nginx.ask(token=token)
        self.assertEqual(nginx.metric("tokens_total", status="JWT_OK"), 2)
        self.assertEqual(nginx.metric("tokens_total", status="JWT_BAD_SIGNATURE"), 1)
        self.assertEqual(nginx.ask("/metrics").headers["Content-Type"], "text/plain; version=0.0.4")
        self.assertEqual(nginx.ask("/metrics", method="POST").status, 405)
        self.assertEqual(nginx.ask("/metrics", method="HEAD").body, "")
        (told,) = nginx.keys()
        self.assertEqual((told["issuer"], told["state"], told["ready"]), (issuer.url, "fresh", True))
        self.assertEqual([key["kid"] for key in told["keys"]], [issuer.signer.kid])
        self.assertEqual(told["keys"][0]["accepted"], 2)

    def test_the_metrics_tell_what_the_cache_of_tokens_may_take(self):
        issuer = self.origin()
        for said, octets in (("", 16777216), ("keyturn_token_cache off; keyturn_key_tables off;", 0),
                             ("keyturn_token_cache 65536; keyturn_key_tables 1;", 65536)):
            nginx = self.nginx(WATCHED, said, issuer=issuer, store="off")
            for token in 3 * [issuer.token()]:  # known from its third time on
                self.assertEqual(nginx.ask(token=token).status, 200)
            self.assertEqual(nginx.metric("token_cache_limit_bytes"), octets)
            self.assertEqual(nginx.metric("token_cache_hits_total"), 1 if octets else 0)
            nginx.stop()

    def test_many_keys_are_told_whole(self):
        issuer = self.origin()
        issuer.published += [issuer.make() for _ in range(60)]
        nginx = self.nginx(WATCHED, issuer=issuer)
        nginx.ask(token=issuer.token())
        self.assertEqual(len(nginx.keys()[0]["keys"]), 61)


class Configuring(OfNginx):
    """`nginx -t`."""

    GOOD = "keyturn on; keyturn_audiences orders;"

    def refusal(self, server=GOOD, http="", issuer="jwks_url https://a.example/k;", **options):
        if issuer is not None:
            http += f"\nkeyturn_issuer https://a.example {{\n{issuer}\n}}"
        nginx = self.nginx(server, http, start=False, **options)
        status, said = nginx.test()
        self.assertEqual(status, 1, said)
        return nginx, said

    def test_what_is_wrong_is_told_with_its_line(self):
        for where, what, sentence in [
            ("issuer", "jwks_urls https://a.example/k;", "jwks_urls: no such option of an issuer"),
            ("issuer", "jwks_url http://a.example/k;", "jwks_url"),
            ("issuer", "jwks_url https://a.example/k; hard_limit_ms 1;", "hard_limit_ms"),
            ("issuer", "jwks_url https://a.example/k; max_keys many;", "max_keys: the value must be a number from 1 on"),
            ("issuer", "jwks_url https://a.example/k; lazy yes;", 'lazy: the value must be "on" or "off"'),
            ("issuer", "file /nowhere;", "file"),
            ("issuer", "discovery openid; discovery openid;", "discovery: is given twice"),
            ("server", "keyturn maybe;", "invalid value"),
            ("server", "keyturn on;", "audiences"),
            ("server", "keyturn on; keyturn_audiences orders; keyturn_algorithms none;", "algorithms"),
            ("server", "keyturn on; keyturn_audiences orders; keyturn_leeway_s 601;", "leeway_s"),
            ("server", "keyturn on; keyturn_audiences orders; keyturn_require sub is alice;", "require"),
            ("server", "keyturn on; keyturn_audiences orders; keyturn_require sub equals;", "rules[0]"),
            ("server", "keyturn on; keyturn_audiences orders; keyturn_issuers https://b.example;", "no such keyturn_issuer"),
            ("server", "keyturn_set_header Host sub;", "nginx itself reads this header"),
            ("server", 'keyturn_set_header "X User" sub;', "no name of a header"),
            ("server", "keyturn_token body;", "header, cookie=NAME, arg=NAME or a $variable"),
            ("http", "keyturn_max_fetches 100000;", "max_fetches"),
            ("http", "keyturn_token_cache 100;", "token_cache"),
            ("http", "keyturn_key_tables 7;", "key_tables"),
            ("http", "keyturn_claim_set sub sub;", "wants a $variable"),
            ("http", "keyturn_issuer https://a.example { jwks_url https://a.example/k; }", "issuer"),
        ]:
            nginx, said = self.refusal(**{where: what})
            self.assertIn(sentence, said)
            place = re.search(rf"in {re.escape(str(nginx.configuration))}:(\d+)", said)
            self.assertIsNotNone(place, said)
            line = nginx.text.splitlines()[int(place[1]) - 1]
            self.assertIn(what.split()[0], line, said)

    def test_an_issuer_is_needed_and_chosen(self):
        self.assertIn("there is no keyturn_issuer", self.refusal(issuer=None)[1])
        more = "keyturn_issuer https://b.example { jwks_url https://b.example/k; }"
        self.assertIn("keyturn_issuers says which", self.refusal(http=more)[1])

    def test_it_leaves_nothing_of_roots_behind(self):
        nginx = self.nginx(self.GOOD, "keyturn_issuer https://a.example { discovery openid; }", start=False)
        self.assertEqual(nginx.test()[0], 0)
        store = self.folder / "keyturn"
        self.assertEqual(list(store.iterdir()), [])
        self.assertEqual(store.stat().st_uid, nginx.workers_user)
        self.assertEqual(store.stat().st_mode & 0o777, 0o700)

    def test_a_reload_that_is_refused_changes_nothing(self):
        issuer = self.origin()
        nginx = self.nginx(PROTECTED, issuer=issuer)
        before = nginx.children()
        nginx.configure(PROTECTED + "keyturn_leeway_s 601;")
        nginx.signal("HUP")
        nginx.wait_until_said("leeway_s")
        self.assertEqual(nginx.children(), before)
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
