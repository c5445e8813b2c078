"""keyturn.lua in nginx's Lua module, and in LuaJIT itself."""

import re
import subprocess

import cases
from haproxy import lua, of
from host import ROOT, Case
from luajit import SOURCE, OfLuaJIT
from test_options import options
from tls import make_certificate, thumbprint

TEXT = SOURCE.read_text()
README = (ROOT / "examples/luajit/README.md").read_text()
ORDERS = {"orders": {"audiences": "orders"}}
WHO = """location / { content_by_lua_block {
    local verdict = require("gate").policies.orders:access()
    ngx.sleep(tonumber(ngx.var.arg_pause or 0))
    ngx.say(verdict:claim("sub") or "nobody")
} }"""


class Verdicts(cases.Verdicts, OfLuaJIT):
    pass


class Rotations(cases.Rotations, OfLuaJIT):
    pass


class Policies(cases.Policies, OfLuaJIT):
    pass


class Waiting(cases.Waiting, OfLuaJIT):
    pass


class Reloads(cases.Reloads, OfLuaJIT):
    def reload(self, gateway, load, times):
        super().reload(gateway, load, times)
        for word in ("signal", "open socket", "[alert]", "[emerg]"):
            self.assertNotIn(word, gateway.errors())


class Bound(cases.Bound, OfLuaJIT):
    def bound(self, issuer, certificate):
        policies = {"orders": {"audiences": "orders", "host_confirms": True}, "unaware": {"audiences": "orders"}}
        server = f"listen unix:{self.folder}/tls.sock ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}; " \
            "ssl_verify_client optional_no_ca; "
        for path, name in (("/", "orders"), ("/unaware", "unaware")):
            server += f'location {path} {{ content_by_lua_block {{ require("gate").policies.{name}:access() ngx.say("welcome") }} }} '
        return self.nginx({"issuers": [of(issuer)], "policies": policies}, server)


class Made(cases.Made, OfLuaJIT):
    empty = []  # set_header takes it for none

    def setUp(self):
        super().setUp()
        self.issuer, up = self.origin(), self.upstream()
        self.gateway = self.nginx({"issuers": [of(self.issuer)], "policies": ORDERS}, """location / { access_by_lua_block {
            local verdict = require("gate").policies.orders:access()
            ngx.req.set_header("X-User", verdict:claim("sub"))
        } proxy_pass %s; }""" % up.url)


class InNginx(OfLuaJIT):
    def test_claims_are_those_of_their_request(self):
        issuer = self.origin()
        gateway = self.nginx({"issuers": [of(issuer)], "policies": ORDERS}, WHO)
        names = [f"user-{number}" for number in range(40)]
        waiting = [(name, gateway.begin(f"/?pause=0.{number % 7}", issuer.token(sub=name))) for number, name in enumerate(names)]
        for name, connection in reversed(waiting):
            self.assertEqual(gateway.end(connection).body, name + "\n")
        kept = gateway.connection()
        for turn in range(6):
            name = f"user-{turn}" if turn % 3 else None
            self.assertEqual(gateway.ask("/", issuer.token(sub=name), on=kept).body, (name or "nobody") + "\n")

    def test_users_that_waited_side_by_side_have_each_their_own(self):
        issuer = self.origin()
        gateway = self.nginx({"issuers": [of(issuer)], "policies": ORDERS}, WHO)
        self.assertEqual(gateway.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        asked = issuer.count
        waiting = [(name, gateway.begin(token=issuer.token(sub=name))) for name in (f"user-{number}" for number in range(20))]
        issuer.wait_until_asked(asked)
        gone = gateway.begin(token=issuer.token())
        gone.close()
        issuer.free.set()
        for name, connection in waiting:
            self.assertEqual(gateway.end(connection).body, name + "\n")

    def test_where_nothing_may_sleep_nothing_waits(self):
        issuer = self.origin()
        gateway = self.nginx({"issuers": [of(issuer)], "policies": ORDERS}, """location / {
            set_by_lua_block $verdict {
                local _, refusal = require("gate").policies.orders:verify(ngx.var.http_x_token)
                return refusal and refusal.status or "JWT_OK"
            }
            return 200 $verdict; }""")
        gateway.wait_for(lambda: gateway.ask(headers=[("X-Token", issuer.token())]).body == "JWT_OK")
        issuer.free.clear()
        issuer.rotate()
        self.assertEqual(gateway.ask(headers=[("X-Token", issuer.token())]).body, "JWKS_KEYS_UNAVAILABLE")

    def test_the_log_tells_of_keys_and_refusals_and_holds_no_token(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        token = issuer.token()
        for text, status in ((token, 200), (token + "A", 401), (issuer.forged(), 401)):
            self.assertEqual(gateway.ask(token=text).status, status)
        gateway.wait_until_said("keyturn refuses: JWT_BAD_SIGNATURE")
        gateway.wait_until_said(f'keyturn: keys_changed issuer="{issuer.url}" count=1')
        self.assertNotIn(token[-40:], gateway.said())

    def test_a_mistake_keeps_nginx_from_starting(self):
        gateway = self.nginx({"issuers": [{"issuer": "https://a.example", "discovery": "openid"}],
                              "policies": {"orders": {"audiences": "orders", "leeway": 1}}}, start=False)
        status, said = gateway.run()
        self.assertEqual(status, 1, said)
        self.assertIn("policies.orders.leeway: no such option", said)

    def test_a_reload_that_is_refused_changes_nothing(self):
        issuer = self.origin()
        gateway = self.host(issuer)
        before = gateway.children()
        gateway.give({"issuers": [of(issuer)], "policies": {"orders": {}}})
        gateway.signal("HUP")
        gateway.wait_until_said("policies.orders.audiences")
        self.assertEqual(gateway.children(), before)
        self.assertEqual(gateway.ask(token=issuer.token()).status, 200)

    def test_a_store_that_cannot_be_used_opens_nothing(self):
        issuer = self.origin()
        gateway = self.nginx({"issuers": [of(issuer)], "policies": ORDERS, "store": "/nowhere"}, start=False)
        gateway.start()
        gateway.wait_until_said("keyturn: store: ")
        self.assertEqual(gateway.ask(token=issuer.token()).status, 500)


class InLuaJIT(OfLuaJIT):
    def gate(self, issuer, **more):
        return f"local gate = keyturn.gate {lua({'issuers': [of(issuer)], 'policies': {'orders': {'audiences': 'orders'} | more}})}\n"

    def test_it_verifies_waits_and_ends(self):
        issuer = self.origin()
        token = issuer.token(realm={"roles": ["a", "b"]}, age=41, name="Jürgen", bad="a\nb", none=None)
        said = self.run_luajit(self.gate(issuer) + """
            gate:start()
            local verdict = assert(gate.policies.orders:verify(keyturn.bearer("Bearer " .. arg[1])))
            for _, name in ipairs { "sub", "/realm/roles/1", "/realm/roles", "age", "name", "bad", "none", "" } do
              print(verdict:claim(name))
            end
            print(verdict.status, verdict.http, verdict.issuer, verdict.kid, verdict:expiry() > os.time())
            print(#verdict:claims() > 100, gate:metrics():find('keyturn_tokens_total', 1, true) ~= nil)
            local _, refusal = gate.policies.orders:verify(arg[2])
            print(refusal.status, refusal.http, refusal.challenge, refusal.retry_after)
            print(gate.policies.orders:verify().status)
            gate:stop()
            """.replace("print(gate.policies.orders:verify().status)", "print(select(2, gate.policies.orders:verify()).status)"),
            token, issuer.forged())
        self.assertEqual(said.splitlines(), [
            "alice", "b", '["a","b"]', "41", "Jürgen", "nil", "nil", "nil",
            f"JWT_OK\t200\t{issuer.url}\t{issuer.signer.kid}\ttrue", "true\ttrue",
            'JWT_BAD_SIGNATURE\t401\tBearer error="invalid_token"\tnil', "JWT_MISSING"])

    def test_a_token_is_found_as_everywhere(self):
        for field, found in {
            '"Bearer t"': "t", '"bEARER \\t t "': "t", '" Bearer t"': "t", '"Bearer"': "", '"Bearer "': "", '"Bearert"': "nil",
            '"Basic t"': "nil", '""': "nil", "nil": "nil", '{ "Basic x", "Bearer t" }': "t", '{ "Bearer t", "Bearer t" }': "nil\ttrue",
            '"Bearer a b"': "a b", '"Bearer a,Bearer a"': "nil\ttrue", '"Basic x, Bearer t"': "t", '"Bearer a,b"': "a,b", '","': "nil",
        }.items():
            with self.subTest(field):
                self.assertEqual(self.run_luajit(f"print(keyturn.bearer({field}))"), found + "\n")

    def test_a_certificate_may_be_given(self):
        issuer, mine, others = self.origin(), make_certificate(self.folder, "mine"), make_certificate(self.folder, "others")
        said = self.run_luajit(self.gate(issuer, host_confirms=True) + """
            gate:start()
            local function pem(path) return io.open(path):read("*a") end
            local function judge(certificate)
              local verdict, refusal = gate.policies.orders:verify(arg[1], certificate)
              print((verdict or refusal).status)
            end
            judge(keyturn.thumbprint(pem(arg[2])))
            judge(keyturn.thumbprint(pem(arg[3])))
            judge()
            judge("short")
            judge(keyturn.thumbprint(pem(arg[2])) .. "x")
            print(keyturn.thumbprint(), keyturn.thumbprint(""), keyturn.thumbprint("-----BEGIN CERTIFICATE-----\\n?\\n-----END"))
            gate:stop()
            """, issuer.token(cnf={"x5t#S256": thumbprint(mine)}), mine, others)
        self.assertEqual(said.splitlines(), [
            "JWT_OK", "JWT_CONFIRMATION_MISMATCH", *["JWT_CONFIRMATION_REQUIRED"] * 3, "nil\tnil\tnil"])

    def test_what_is_garbage_is_freed(self):
        """Results and gates, told by the memory and the threads that the process has."""
        issuer = self.origin()
        said = self.run_luajit("""
            local function resident()
              collectgarbage() collectgarbage()
              for line in io.lines("/proc/self/status") do
                local kib = line:match("VmRSS:%s*(%d+)")
                if kib then return tonumber(kib) end
              end
            end
            local function threads()
              for line in io.lines("/proc/self/status") do
                local count = line:match("Threads:%s*(%d+)")
                if count then return tonumber(count) end
              end
            end
            local options, held = OPTIONS, {}
            local function verify(gate, times, hold)
              for turn = 1, times do
                local verdict = assert(gate.policies.orders:verify(arg[1]))
                if hold then held[turn] = verdict end
                if turn % 500 == 0 then assert(not gate.policies.orders:verify("a.b.c")) end
              end
            end
            local function live(times, hold)
              local gate = keyturn.gate(options)
              gate:start()
              verify(gate, times, hold)
              assert(threads() > 1)
            end
            live(2000)
            local before = resident()
            for _ = 1, 10 do live(2000) end
            local freed = resident() - before
            live(20000, true)
            local verdict = held[7]
            print(freed, resident() - before, threads(), #held, verdict:claim("sub"))
            """.replace("OPTIONS", lua({"issuers": [of(issuer)], "policies": ORDERS})), issuer.token())
        freed, held, threads, count, subject = said.split()
        self.assertEqual((threads, count, subject), ("1", "20000", "alice"))
        self.assertGreater(int(held), 20_000, said)  # KiB: a result takes more than one
        self.assertLess(int(freed), int(held) / 4, said)

    def test_what_is_wrong_is_told_with_its_name(self):
        good = {"issuer": "https://a.example", "discovery": "openid"}

        def policy(**more):
            return {"issuers": [good], "policies": {"orders": {"audiences": "orders"} | more}}

        def issuer(**more):
            return {"issuers": [good | more], "policies": ORDERS}

        both = [good, good | {"issuer": "https://b.example"}]
        wrong = [
            (issuer(jwks_urls="x"), "keyturn: issuers[1].jwks_urls: no such option"),
            (issuer(issuer="http://a.example"), "issuers[1].issuer: "),
            (issuer(hard_limit_ms=1), "issuers[1].hard_limit_ms: "),
            (issuer(max_keys="many"), "issuers[1].max_keys: the value must be a number from 1 on"),
            (issuer(max_keys=1.5), "issuers[1].max_keys: the value must be a number from 1 on"),
            (issuer(lazy="yes"), "issuers[1].lazy: the value must be true or false"),
            (issuer(jwks_hosts=[]), "issuers[1].jwks_hosts: a value is wanting"),
            (issuer(proxy=["a"]), "issuers[1].proxy: the value must be a text"),
            (issuer(discovery="oidc"), "issuers[1].discovery: the value is none of its words"),
            (issuer(max_retry_after_ms="none"), 'issuers[1].max_retry_after_ms: the value must be a number from 1 on, or "off"'),
            ({"issuers": [], "policies": ORDERS}, "issuers: a list of them is required"),
            ({"issuers": [good, good], "policies": ORDERS}, "issuers[2].issuer: "),
            ({"issuers": both, "policies": ORDERS}, "policies.orders.issuers: there are several"),
            ({"issuers": [good], "policies": {"orders": {}}}, "policies.orders.audiences: "),
            ({"issuers": [good]}, "policies: a table is wanted here"),
            (policy(audience="x"), "policies.orders.audience: no such option"),
            (policy(algorithms="none"), "policies.orders.algorithms: a value is no algorithm's name"),
            (policy(leeway_s=601), "policies.orders.leeway_s: "),
            (policy(require=[["sub", "is", "alice"]]), "policies.orders.require: no such kind of a rule: is"),
            (policy(require=[["sub", "equals"]]), "policies.orders.rules[0]"),
            (policy(issuers="https://b.example"), "policies.orders.issuers: there is no such issuer"),
            (policy(realm="a\nb"), "policies.orders.realm"),
            (policy() | {"max_fetches": 100000}, "max_fetches: "),
            (policy() | {"stroe": "x"}, "keyturn: stroe: no such option"),
        ]
        said = self.run_luajit("".join(f"print(select(2, pcall(keyturn.gate, {lua(each)})))\n" for each, _ in wrong)).splitlines()
        self.assertEqual(len(said), len(wrong))
        for line, (_, sentence) in zip(said, wrong):
            self.assertIn(sentence, line)


class Declarations(Case):
    """What keyturn.lua says of keyturn.h."""

    @staticmethod
    def declarations(text):
        preprocessed = subprocess.run(
            ["cc", "-E", "-P", "-x", "c", "-"], input=re.sub(r"^#include.*$|^KEYTURN_API ", "", text, flags=re.M),
            capture_output=True, text=True, check=True).stdout
        found = (re.sub(r"\s+", " ", each).strip() for each in re.findall(r"(?:[^;{}]|\{[^}]*\})+;", preprocessed))
        return [re.sub(r"^typedef enum \w+ \{.*\} (\w+);", r"typedef int \1;", each) for each in found]

    def test_all_stand_in_the_header(self):
        header = self.declarations((ROOT / "include/keyturn.h").read_text())
        ours = self.declarations(re.search(r"ffi\.cdef \[\[(.*?)\]\]", TEXT, re.S)[1])
        self.assertGreater(len(ours), 50)
        for each in ours:
            self.assertIn(each, header)

    def test_every_option_has_its_kind(self):
        block = TEXT[TEXT.index("local OPTIONS = {"):TEXT.index("local WORDS")].replace('" ..\n', "").replace("\n", " ")
        block = re.sub(r'\s+"(?=[a-z_ ]+")', ' "', block)
        told = set()
        for struct, kinds in re.findall(r"(cache|issuer|policy|challenge) = \{(.*?)\}", block):
            for names in re.findall(r'"([^=]*?)"(?=,|\s*\}|\s*$|\s+\w+ =)', kinds):
                told |= {(struct, name) for name in names.replace('"', " ").split()}
        self.assertEqual(told, {(struct, name) for struct, name, _ in options()})
