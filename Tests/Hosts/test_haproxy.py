"""keyturn.lua in the real HAProxy, chrooted and fed by a real agent."""

import pwd
import subprocess
from pathlib import Path

import cases
from haproxy import DECIDE, HAPROXY, PROTECTED, THREADS, WELCOME, OfHAProxy, of
from host import AS_ROOT, BUILD, ROOT

ORDERS = {"orders": {"audiences": "orders"}}
README = (ROOT / "examples/haproxy/README.md").read_text()


class Verdicts(cases.Verdicts, OfHAProxy):
    pass


class Rotations(cases.Rotations, OfHAProxy):
    pass


class Reloads(cases.Reloads, OfHAProxy):
    test_reloads_refuse_nobody_without_a_store = None  # keys come out of one

    def reload(self, gateway, load, times):
        super().reload(gateway, load, times)
        self.assertNotIn("[ALERT]", gateway.said())


class Living(OfHAProxy):
    def test_it_runs_as_debian_has_it_and_starts_no_thread(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        self.check_lives(gateway, issuer)
        (worker,) = gateway.children()
        process = Path(f"/proc/{worker}")
        names = [(task / "comm").read_text().strip() for task in (process / "task").iterdir()]
        self.assertEqual(names, ["haproxy"] * THREADS)
        if AS_ROOT:
            self.assertEqual((process / "root").readlink(), Path("/var/lib/haproxy"))
            self.assertEqual(process.stat().st_uid, pwd.getpwnam("haproxy").pw_uid)

    def check_lives(self, gateway, issuer):
        self.assertEqual(gateway.ask(token=issuer.token()).status, 200)
        self.assertEqual(gateway.ask(token=issuer.forged()).status, 401)

    def test_one_state_for_all_threads_will_do(self):
        issuer = self.origin()
        gateway = self.haproxy(ORDERS, [of(issuer)], load="lua-load")
        self.check_lives(gateway, issuer)
        issuer.rotate()
        self.check_lives(gateway, issuer)

    def test_all_threads_verify(self):
        issuer = self.origin()
        gateway = self.haproxy(ORDERS, [of(issuer)], "http-response set-header X-Thread none\n    http-request set-var(txn.thread) "
                               "thread\n    " + PROTECTED + "http-request return status 200 hdr X-Thread %[thread]")
        seen, token = set(), issuer.token()
        gateway.wait_for(lambda: seen.add(gateway.ask(token=token).headers["X-Thread"]) or len(seen) == THREADS)

    def test_only_jwt_verify_is_also_a_name_of_haproxys(self):
        def names(path):
            out = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
            return {line.split()[-1].split("@")[0] for line in out.splitlines()}
        ours = names(BUILD / "libkeyturn.so.0")
        self.assertGreater(len(ours), 50)
        self.assertEqual(names(HAPROXY) & ours, {"jwt_verify"})

    def test_an_agent_that_is_away_takes_no_keys_away(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        self.check_lives(gateway, issuer)
        gateway.agent.stop()
        gateway.reload()
        self.check_lives(gateway, issuer)

    def test_it_knows_an_agent_that_was_restarted(self):
        """Whose socket is another, and outside of the chroot. What it takes for that, each thread takes back."""
        issuer = self.origin()
        gateway = self.host(issuer)
        self.check_lives(gateway, issuer)
        (worker,) = gateway.children()
        gateway.agent.stop()
        gateway.agent.start()
        issuer.rotate()
        self.check_lives(gateway, issuer)
        self.assertEqual(gateway.children(), {worker})
        places = {(task / "cwd").readlink() for task in Path(f"/proc/{worker}/task").iterdir()}
        self.assertEqual(places, {Path("/var/lib/haproxy")} if AS_ROOT else {Path.cwd()})

    def test_an_agent_may_come_later(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        gateway.agent.stop()
        (gateway.store / "agent.sock").unlink()
        gateway.reload()
        gateway.agent.start()
        issuer.rotate()
        gateway.wait_for(lambda: gateway.ask(token=issuer.token()).status == 200)

    def test_what_becomes_of_keys_is_logged(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        self.check_lives(gateway, issuer)
        gateway.wait_for(lambda: f'keyturn: keys_changed issuer="{issuer.url}" count=1' in gateway.said())

    def test_a_page_for_prometheus(self):
        issuer = self.origin()
        gateway = self.haproxy(
            ORDERS, [of(issuer)], "http-request use-service lua.keyturn.metrics if { path /metrics }\n    " + PROTECTED + WELCOME)
        for token in (issuer.token(), issuer.token(), issuer.forged()):
            gateway.ask(token=token)
        page = gateway.ask("/metrics")
        self.assertEqual(page.headers["Content-Type"], "text/plain; version=0.0.4")
        for status, count in (("JWT_OK", 2), ("JWT_BAD_SIGNATURE", 1)):
            self.assertRegex(page.body, rf'(?m)^keyturn_tokens_total{{[^}}]*status="{status}"[^}}]*}} {count}$')


class Waiting(cases.Waiting, OfHAProxy):
    def test_a_reload_waits_for_who_is_parked(self):
        issuer = self.origin()
        gateway = self.host(issuer, source=cases.UNHURRIED)
        self.assertEqual(gateway.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        asked = issuer.count
        parked = [gateway.begin(token=issuer.token()) for _ in range(5)]
        issuer.wait_until_asked(asked)
        gateway.reload()
        issuer.free.set()
        self.assertEqual({gateway.end(one).status for one in parked}, {200})


class Policies(cases.Policies, OfHAProxy):
    def test_who_no_policy_has_verified_is_not_let_in(self):
        issuer = self.origin()
        gateway = self.places(ORDERS, issuer)
        self.assertEqual(gateway.ask("/orders", issuer.token()).status, 200)
        self.assertEqual(gateway.ask("/none", issuer.token()).status, 500)

    def test_a_verdict_that_fails_lets_nobody_in(self):
        fails = """local native = require "keyturn_haproxy"
            local verify = native.verify
            function native.verify(number, claims, ...)
              if claims.fails then error("it fails") end
              return verify(number, claims, ...)
            end"""
        issuer = self.origin()
        gateway = self.haproxy(
            ORDERS | {"fails": {"audiences": "orders", "claims": {"fails": "sub"}}}, [of(issuer)],
            "http-request lua.keyturn.orders\n    http-request lua.keyturn.fails if { path /fails }" + DECIDE + WELCOME,
            before=fails)
        self.assertEqual(gateway.ask("/", issuer.token()).status, 200)
        self.assertEqual(gateway.ask("/fails", issuer.token()).status, 500)

    def test_a_token_may_be_in_a_variable(self):
        issuer = self.origin()
        gateway = self.haproxy(
            {"orders": {"audiences": "orders", "token": "txn.token"}}, [of(issuer)],
            "http-request set-var(txn.token) url_param(access_token)\n    " + PROTECTED + WELCOME)
        token = issuer.token()
        self.assertEqual(gateway.ask(f"/?access_token={token}").status, 200)
        self.assertEqual(gateway.ask("/?access_token=").status, 401)
        self.assertEqual(gateway.ask("/", token).status, 401)

    def test_a_token_may_be_left_to_the_client(self):
        issuer = self.origin()
        gateway = self.haproxy(
            ORDERS, [of(issuer)], "acl has_token req.fhdr(authorization) -m found\n    http-request allow unless has_token\n    "
            + PROTECTED + WELCOME)
        self.assertEqual(gateway.ask(token=issuer.forged()).status, 401)
        self.assertEqual(gateway.ask(token=issuer.token()).status, 200)
        self.assertEqual(gateway.ask().status, 503)  # allowed, and there is no server
        self.assertEqual(gateway.access("/")[-1][2], "-")


class Bound(cases.Bound, OfHAProxy):
    def bound(self, issuer, certificate):
        tls = (f"bind unix@{self.folder}/tls.sock mode 666 ssl crt {certificate} verify optional ca-file {certificate} "
               "ca-ignore-err all crt-ignore-err all\n    ")
        decide = "http-request lua.keyturn.orders unless { path /unaware }\n    http-request lua.keyturn.unaware if { path /unaware }"
        return self.haproxy(
            {"orders": {"audiences": "orders", "host_confirms": True}, "unaware": {"audiences": "orders"}}, [of(issuer)],
            tls + decide + DECIDE + WELCOME)


class Claims(cases.Telling, OfHAProxy):
    unverified = others = None  # what is not verified has no rule, and no variable
    says_refusals = False  # the log of requests tells of them

    def setUp(self):
        super().setUp()
        self.issuer, self.up = self.origin(), self.upstream()
        claims = {"user": "sub", "first": "/realm/roles/0", "roles": "/realm/roles", "name": "fullName"}
        self.gateway = self.haproxy(
            {"orders": {"audiences": "orders", "claims": claims}, "other": {"audiences": "other"}}, [of(self.issuer)],
            "http-request lua.keyturn.orders\n    http-request lua.keyturn.other if { path /other }" + DECIDE + """
    http-request del-header (?i)^X.(User|Roles)$ -m reg
    http-request del-header Connection if { req.hdr(connection) -i X-User }
    http-request set-header X-User %[var(txn.keyturn.claim.user)] if { var(txn.keyturn.claim.user) -m found }
    http-request set-header X-First %[var(txn.keyturn.claim.first)]
    http-request set-header X-Roles %[var(txn.keyturn.claim.roles)]
    http-request set-header X-Name %[var(txn.keyturn.claim.name)]
    http-request set-header X-Kid %[var(txn.keyturn.kid)]
    default_backend upstream""", upstream=self.up)

    def test_claims_become_headers(self):
        token = self.issuer.token(realm={"roles": ["a,b", "c"]}, fullName="Jürgen 🙂")
        reply = self.gateway.ask(token=token)
        self.assertEqual(reply.status, 200, self.gateway.said())
        self.assertEqual(reply.all("X-User"), ["alice"])
        self.assertEqual(reply.all("X-First"), ["a,b"])
        self.assertEqual(reply.all("X-Roles"), ['["a,b","c"]'])
        self.assertEqual(reply.all("X-Name")[0].encode("latin-1").decode(), "Jürgen 🙂")
        self.assertEqual(reply.all("X-Kid"), [self.issuer.signer.kid])

    def test_a_second_verdict_takes_the_place_of_the_first(self):
        self.assertEqual(self.gateway.ask("/other", self.issuer.token()).status, 401)
        self.assertEqual(self.gateway.ask("/other", self.issuer.token(aud=["orders", "other"])).all("X-Kid"), [self.issuer.signer.kid])


class Configuring(OfHAProxy):
    """`haproxy -c`."""

    GOOD = {"issuer": "https://a.example", "discovery": "openid"}

    def check(self, policies=None, issuers=None, cache=None, before="", rules=PROTECTED + WELCOME):
        (self.folder / "store").mkdir(exist_ok=True, mode=0o755)
        gateway = self.haproxy(policies if policies is not None else ORDERS, issuers if issuers is not None else [self.GOOD],
                               rules, cache=cache, start=False, before=before)
        return gateway.check()

    def test_what_is_wrong_is_told_with_its_name(self):
        def policy(**more):
            return {"policies": {"orders": {"audiences": "orders"} | more}}

        def issuer(**more):
            return {"issuers": [self.GOOD | more]}

        store = {"store": self.folder / "store", "store_reader": True}
        for configuration, sentence in [
            (issuer(jwks_urls="x"), "Lua runtime error: keyturn: issuers[1].jwks_urls: no such option"),
            (issuer(issuer="http://a.example"), "issuers[1].issuer: "),
            (issuer(hard_limit_ms=1), "issuers[1].hard_limit_ms: "),
            (issuer(max_keys="many"), "issuers[1].max_keys: the value must be a number from 1 on"),
            (issuer(max_keys=1.5), "issuers[1].max_keys: the value must be a number from 1 on"),
            (issuer(lazy="yes"), 'issuers[1].lazy: the value must be "on" or "off"'),
            (issuer(jwks_hosts={}), "issuers[1].jwks_hosts: "),
            (issuer(proxy={"a": 1}), "issuers[1].proxy: a value is wanting"),
            ({"issuers": []}, "issuers: a list of them is required"),
            ({"issuers": [{"issuer": "https://a.example", "file": "/nowhere"}]}, "issuers[1].file: "),
            ({"issuers": [self.GOOD, self.GOOD]}, "issuers[2].issuer: "),
            ({"issuers": [self.GOOD, self.GOOD | {"issuer": "https://b.example"}]}, "policies.orders.issuers: there are several"),
            ({"policies": {"orders": {}}}, "policies.orders.audiences: "),
            (policy(audience="x"), "policies.orders.audience: no such option"),
            (policy(algorithms="none"), "policies.orders.algorithms: "),
            (policy(leeway_s=601), "policies.orders.leeway_s: "),
            (policy(require=[["sub", "is", "alice"]]), "policies.orders.require: "),
            (policy(require=[["sub", "equals"]]), "policies.orders.require: "),
            (policy(require="sub"), "policies.orders.require: this is no table"),
            (policy(issuers="https://b.example"), "policies.orders.issuers: there is no such issuer"),
            (policy(claims={"a-b": "sub"}), "policies.orders.claims: a name is of letters, digits and _"),
            (policy(claims={"user": True}), "policies.orders.claims.user: a claim is a name or a JSON pointer"),
            (policy(token="authorization"), "policies.orders.token: it is the name of a variable"),
            (policy(realm="a\nb"), "policies.orders.realm"),
            ({"policies": {"my orders": {"audiences": "orders"}}}, "policies.my orders: a name is of letters"),
            ({"cache": {}}, "store: keys that are fetched come from a store"),
            ({"cache": {"store": self.folder / "store"}}, "store_reader: HAProxy only reads a store"),
            ({"cache": store | {"store": self.folder / "missing"}}, "store: "),
            ({"cache": store | {"store_user": "nobody-knows"}}, "store_user: "),
            ({"cache": store | {"max_fetches": 100000}}, "max_fetches: "),
            ({"cache": store | {"stroe": "x"}}, "keyturn: stroe: no such option"),
        ]:
            with self.subTest(configuration):
                status, said = self.check(**configuration)
                self.assertEqual(status, 1, said)
                self.assertIn(sentence, said.replace("\\n", "\n"))

    def test_policies_that_do_not_exist_are_told(self):
        self.assertIn("lua.keyturn.order", self.check(rules="http-request lua.keyturn.order\n    " + WELCOME)[1])

    def test_what_is_right_is_accepted_and_nothing_is_left_behind(self):
        status, said = self.check()
        self.assertEqual(status, 0, said)
        self.assertEqual(list((self.folder / "store").iterdir()), [])

    def test_the_readme_decides_as_the_tests_do(self):
        for line in DECIDE.splitlines():
            self.assertIn(line.strip(), README)
