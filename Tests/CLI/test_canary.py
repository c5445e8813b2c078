"""`keyturn canary`: how it counts, what it tells, and what it does not. Tests/Hosts/test_canary.py asks real gateways."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from pages import ISSUER, Site, authority, page
from tool import PATIENCE, Case

TOKEN = ".".join([
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtleS0xIn0",  # {"alg":"ES256","kid":"key-1"}
    "eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIn0",  # {"iss":"https://login.example.com"}
    "c2lnbmF0dXJlLXRoYXQtbm9ib2R5LW11c3Qtc2Vl"])


def metrics(*kids, ready=1):
    return 200, f'keyturn_issuer_ready{{issuer="{ISSUER}"}} {ready}\n' + "".join(
        f'keyturn_key_tokens_total{{issuer="{ISSUER}",kid="{kid}",thumbprint="t"}} 0\n' for kid in kids)


def changed(answer, *edit):
    return answer[0], answer[1].replace(*edit)


class Canary(Case):
    def canary(self, *arguments, status=0, timeout=PATIENCE, token=TOKEN):
        said = self.keyturn("canary", "--allow-http", "--timeout", f"{timeout}s", "--token-file", "-", *arguments,
                            status=status, given=token)
        for part in token.split(".")[1:]:
            self.assertNotIn(part, said)
        return said

    def test_each_answer_is_over_a_connection_of_its_own(self):
        site = Site(self, (200, "welcome"))
        said = self.canary("--workers", 2, site.url)
        self.assertRegex(said, r"^sha256:[0-9a-f]{16} is to be accepted\nconverged ")
        self.assertEqual((len(site.tokens), len(site.connections)), (64, 64))
        self.assertEqual(set(site.tokens), {f"Bearer {TOKEN}"})

    def test_workers_are_counted_where_they_say_who_they_are(self):
        site = Site(self, page(1, "key-1"), page(1, "key-1"), page(2, "key-1"), page(1, "key-1"), page(3, "key-1"))
        told = json.loads(self.canary("--by", "keys", "--workers", 3, "--json", site.url))
        self.assertEqual(told["gateways"][0]["workers"], [1, 2, 3])
        self.assertEqual((len(site.tokens), set(site.tokens)), (5, {None}))  # who asks for a page shows no token

    def test_one_other_answer_makes_all_count_anew(self):
        site = Site(self, page(1, "key-1"), page(2, "key-0"), page(3, "key-1"), page(1, "key-1"))
        self.canary("--by", "keys", "--workers", 2, site.url)
        self.assertEqual(len(site.tokens), 4)
        site = Site(self, *19 * [(200, "")], (401, ""), (200, ""))
        self.canary("--answers", 20, site.url)
        self.assertEqual(len(site.tokens), 40)

    def test_who_has_not_converged_is_told_with_the_reason(self):
        refused = ["--expect", "refused", "--by"]
        cases = [
            ((401, ""), [], "it answers the token with 401"),
            ((503, ""), [], "it answers the token with 503: the issuer's keys may not be at hand"),
            ((503, ""), ["--expect", "refused"], "503: the issuer's keys may not be at hand"),
            ((403, ""), ["--expect", "refused"], "it answers the token with 403, which is no verdict"),
            ((302, ""), [], "a redirect"),
            ((200, ""), ["--expect", "refused"], "it answers the token with 200"),
            ((200, "{}"), ["--by", "keys"], "it is no page of keys"),
            ((404, ""), ["--by", "keys"], "its HTTP status is 404"),
            (page(7, "key-1", issuer="https://other"), ["--by", "keys"], "worker 7: it does not know the issuer"),
            (page(7, "key-1", ready=False), ["--by", "keys"], "worker 7: it serves no key of the issuer"),
            (page(7, "key-1", ready=False), ["--by", "keys", "--expect", "refused"], "worker 7: it serves no key"),
            (page(7, "key-1", revoked=True), ["--by", "keys"], "worker 7: the key is revoked"),
            (page(7, "key-0"), ["--by", "keys"], "worker 7: the key is not in its set"),
            (page(7, "key-1"), ["--by", "keys", "--expect", "refused"], "worker 7: the key is in its set"),
            (metrics("key-0"), ["--by", "metrics"], "the key is not in its set"),
            (metrics("key-1"), ["--by", "metrics", "--expect", "refused"], "the key is in its set"),
            (metrics(), ["--by", "metrics"], "its metrics are without per_key"),
            (metrics("key-1", ready=0), ["--by", "metrics"], "it serves no key of the issuer"),
            ((200, ""), ["--by", "metrics"], "its metrics do not know the issuer"),
            (metrics("key-0", "key-1"), [*refused, "metrics"], "the key is in its set"),
            (changed(metrics("key-1"), " 0\n", " 0 1711111111000\r\n"), [*refused, "metrics"], "the key is in its set"),
            (changed(metrics("key-0", "key-1"), ',thumbprint="t"} 0\n', "", 1), [*refused, "metrics"], "line 2 is no sample"),
            ((200, metrics("key-0", "key-1")[1][:-3]), [*refused, "metrics"], "its metrics are cut off, or none"),
            (metrics(""), [*refused, "metrics", "--kid", "a\x01"], "metrics name no kid with control characters"),
            ((200, "keyturn_\x1b[2J\u202e{\n"), ["--by", "metrics"], "its metrics cannot be read: line 1 is no sample"),
        ]
        sites = [Site(self, answer) for answer, _, _ in cases]
        with ThreadPoolExecutor() as pool:  # each takes its whole second
            told = pool.map(lambda site, case: self.canary(*case[1], site.url, status=2, timeout=1), sites, cases)
        for site, (answer, options, why), said in zip(sites, cases, told, strict=True):
            with self.subTest(answer=answer, options=options):
                self.assertRegex(said, rf"(?m)^behind    {site.url}: 0 of 1 \w+ .*; last: .*{why}")

    def test_one_that_does_not_answer_keeps_nobody_waiting(self):
        silent = Site(self, (200, ""))
        release = threading.Event()
        self.addCleanup(release.set)

        class Late(list):
            def __getitem__(self, _):
                release.wait(PATIENCE)
                return (200, "")
        silent.answers = Late([None])
        prompt = Site(self, (200, ""))
        list_ = self.file("gateways", f"# the fleet\n\n{silent.url}\n")
        said = self.canary("--gateways", list_, "--answers", 50, prompt.url, "http://127.0.0.1:9", status=2, timeout=2)
        self.assertIn(f"converged {prompt.url}: 50 of 50", said)
        self.assertRegex(said, rf"behind    {silent.url}: 0 of 50 .*; last: it took too long")
        self.assertRegex(said, r"behind    http://127.0.0.1:9: 0 of 50 .*; last: nobody answers there")

    def test_certificates_are_verified(self):
        pem, context = authority(self.folder, "site")
        site = Site(self, (200, ""), context=context)
        self.assertIn("its certificate is not to be trusted", self.canary(site.url, status=2, timeout=1))
        self.assertEqual(site.tokens, [])
        self.canary("--ca-file", pem, site.url)
        self.assertEqual(len(site.tokens), 1)

    def test_what_cannot_be_asked_is_said_at_once(self):
        token = self.file("token", TOKEN)
        expired = "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.c2ln"
        before = time.monotonic()
        for arguments, status, sentence in [
            (["http://127.0.0.1:9", "--token-file", token], 1, "see --allow-http"),
            (["ftp://a", "--token-file", token], 1, "ftp://a: not an https URL"),
            (["https://a", "--token-file", self.file("expired", expired)], 1, "the token has expired"),
            (["https://a", "--token-file", self.file("bare", "x.y")], 1, "not three parts"),
            (["https://a", "--token-file", self.file("lines", TOKEN.replace(".", ".\n", 1))], 1, "not Base64url"),
            (["https://a", "--by", "keys", "--token-file", self.file("nobody", "e30.e30.c2ln")], 1, "no iss or no kid"),
            (["--gateways", self.file("none", "# none\n"), "--token-file", token], 1, "0 gateways"),
            (["https://a"], 64, "--by token needs --token-file"),
            (["https://a", "--by", "keys", "--kid", "k"], 64, "--issuer and --kid"),
            (["--token-file", token], 64, "Name gateways"),
            (["https://a", "--workers", "0", "--token-file", token], 64, "--workers: 1 to 1024"),
            (["https://a", "--timeout", "0", "--token-file", token], 64, "--timeout"),
        ]:
            with self.subTest(arguments=arguments):
                self.assertIn(sentence, self.keyturn("canary", *arguments, status=status))
        self.assertLess(time.monotonic() - before, PATIENCE)  # none was waited for
