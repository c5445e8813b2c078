"""ngx_http_keyturn_module in the real nginx."""

import http.client

from nginx import Case

PROTECTED = "location / { keyturn on; keyturn_audiences orders; }"


class Verifying(Case):
    def test_a_token_decides(self):
        issuer = self.origin()
        nginx = self.nginx(PROTECTED, issuer=issuer)
        for token, status in [
            (None, 401), ("", 401), ("garbage", 401), ("a.b.c", 401), (issuer.forged(), 401), (issuer.token(exp=1), 401),
            (issuer.token(aud="others"), 401), (issuer.token(iss="https://other.example"), 401),
            (issuer.token(signer=issuer.make()), 401), (issuer.token(), 200),
        ]:
            self.assertEqual(nginx.ask(token=token).status, status, token)

    def test_refusals_carry_a_challenge(self):
        nginx = self.nginx(f'{PROTECTED} keyturn_realm "the \\"orders\\"";', issuer=self.origin())
        self.assertEqual(nginx.ask().headers["WWW-Authenticate"], 'Bearer realm="the \\"orders\\""')
        self.assertIn('error="invalid_token"', nginx.ask(token="a.b.c").headers["WWW-Authenticate"])


class Waiting(Case):
    def rotated(self, **options):
        """nginx with the keys of before a rotation, and the issuer, whose answers wait."""
        issuer = self.origin()
        nginx = self.nginx(PROTECTED + "location /metrics { keyturn_metrics; }", issuer=issuer, **options)
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        return nginx, issuer, issuer.count

    def test_a_rotation_refuses_nobody(self):
        nginx, issuer, asked = self.rotated()
        parked = [nginx.begin(token=issuer.token()) for _ in range(20)]
        issuer.wait_until_asked(asked)
        nginx.wait_for(lambda: nginx.metric("waiters") == 20)
        issuer.free.set()
        self.assertEqual([connection.getresponse().status for connection in parked], [200] * 20)
        self.assertEqual(issuer.count, asked + 1)
        self.assertEqual(nginx.metric("waiters"), 0)

    def test_a_client_that_goes_is_forgotten(self):
        nginx, issuer, asked = self.rotated()
        gone, stays = nginx.begin(token=issuer.token()), nginx.begin(token=issuer.token())
        issuer.wait_until_asked(asked)
        nginx.wait_for(lambda: nginx.metric("waiters") == 2)
        gone.close()
        nginx.wait_for(lambda: nginx.metric("waiters") == 1)
        issuer.free.set()
        self.assertEqual(stays.getresponse().status, 200)
        self.assertEqual(nginx.metric("waiters"), 0)
