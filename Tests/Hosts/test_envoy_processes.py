"""The module for Envoy in the real Envoy: requests that wait, configurations that come and go, and processes that end."""

import threading

import cases
from cases import UNHURRIED, Load
from envoy import OfEnvoy
from http2 import Streams
from origin import Upstream
from test_envoy import ORDERS, PAGES


class Counting(Upstream):
    """Tells how much has come."""

    def answer(self, handler):
        self.reply(handler, len(handler.rfile.read(int(handler.headers["Content-Length"] or 0))))


class Waiting(OfEnvoy):
    """Requests that are parked, since a fetch may bring their key."""

    def rotated(self, filter=ORDERS, **options):
        """Envoy with the keys of before a rotation, and the issuer, whose answers wait."""
        issuer = self.origin()
        of = {"issuer": issuer.url, "jwks_url": f"{issuer.url}/jwks.json", "allow_http": True} | UNHURRIED
        envoy = self.envoy({"issuers": [of]} | filter, PAGES, **options)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        return envoy, issuer

    def waits(self, envoy, count):
        """That so many do, and that the library and Envoy's statistics agree."""
        envoy.wait_for(lambda: envoy.metric("waiters") == count)
        envoy.wait_for(lambda: envoy.statistic("waiters") == count)

    def park(self, envoy, issuer, count=1):
        parked = [envoy.begin(token=issuer.token(sub=f"user-{number}")) for number in range(count)]
        self.waits(envoy, count)
        return parked

    def test_parked_requests_of_all_threads_come_back(self):
        envoy, issuer = self.rotated(threads=4)
        before = envoy.statistic("waits")
        parked = self.park(envoy, issuer, 60)
        issuer.free.set()
        self.assertEqual([connection.getresponse().status for connection in parked], [200] * 60)
        self.waits(envoy, 0)
        self.assertEqual((issuer.count, envoy.statistic("waits") - before), (2, 60))
        envoy.wait_for(lambda: any(fields[6] not in ("-", "0") for fields in envoy.access("/")))  # of wait_ms

    def test_a_client_that_goes_is_forgotten(self):
        envoy, issuer = self.rotated()
        gone, stays = self.park(envoy, issuer, 2)
        gone.close()
        self.waits(envoy, 1)
        issuer.free.set()
        self.assertEqual(stays.getresponse().status, 200)
        self.waits(envoy, 0)

    def test_an_http2_stream_that_is_reset_is_forgotten(self):
        envoy, issuer = self.rotated()
        client = Streams(self, envoy.socket)
        streams = [client.begin(issuer.token(sub=f"user-{number}")) for number in range(4)]
        self.waits(envoy, 4)
        client.reset(streams[0])
        self.waits(envoy, 3)
        issuer.free.set()
        self.assertEqual(client.statuses(3), {stream: "200" for stream in streams[1:]})
        self.waits(envoy, 0)

    def test_an_issuer_that_hangs_is_not_waited_for_without_end(self):
        issuer = self.origin()
        envoy = self.envoy({"issuers": [{
            "issuer": issuer.url, "jwks_url": f"{issuer.url}/jwks.json", "allow_http": True, "fetch_timeout_ms": 300,
            "connect_timeout_ms": 300}]} | ORDERS, PAGES)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        reply = envoy.ask(token=issuer.token())
        self.assertEqual(reply.status, 503)
        self.assertIsNotNone(reply.headers["Retry-After"])
        self.waits(envoy, 0)

    def test_a_refusal_after_a_wait_is_one(self):
        envoy, issuer = self.rotated()
        stranger = issuer.make()
        parked = [envoy.begin(token=issuer.token(stranger)) for _ in range(5)]
        self.waits(envoy, 5)
        issuer.free.set()
        self.assertEqual([connection.getresponse().status for connection in parked], [401] * 5)
        self.waits(envoy, 0)

    def test_a_body_waits_too_and_arrives_whole(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, PAGES, issuer=issuer, upstream=Counting(self))
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        connection, body = envoy.connection(), b"x" * 3_000_000
        writer = threading.Thread(target=connection.request, args=("POST", "/", body, {"Authorization": f"Bearer {issuer.token()}"}))
        writer.start()
        self.waits(envoy, 1)
        issuer.free.set()
        writer.join()
        reply = connection.getresponse()
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.read(), b"3000000")

    def test_no_wake_is_lost_when_others_go_at_that_moment(self):
        issuer = self.origin()
        envoy = self.envoy({"issuers": [{
            "issuer": issuer.url, "jwks_url": f"{issuer.url}/jwks.json", "allow_http": True, "demand_burst": 100,
            "total_burst": 100}]} | ORDERS, PAGES, threads=1)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        for turn in range(10):
            issuer.free.clear()
            issuer.rotate()
            client = Streams(self, envoy.socket)
            streams = [client.begin(issuer.token()) for _ in range(12)]
            self.waits(envoy, 12)
            stay = set(streams[:6] if turn % 2 else streams[::2])
            helper = threading.Thread(target=issuer.free.set)
            helper.start()
            for stream in streams:
                if stream not in stay:
                    client.reset(stream)
            helper.join()
            found = client.statuses(stay)
            self.assertEqual({found[stream] for stream in stay}, {"200"})
            self.waits(envoy, 0)


class Pushing(OfEnvoy):
    def test_a_hundred_pushes_refuse_nobody_and_fetch_nothing(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, PAGES, issuer=issuer, store=False)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        load = Load(self, envoy, issuer)
        load.go_on()
        for turn in range(100):
            self.assertTrue(envoy.push(ORDERS | {"leeway_s": 30 + turn}, PAGES | {"/route": {"leeway_s": turn + 1}}))
        load.end()
        self.assertEqual(envoy.pushed(), (101, 0))
        self.assertGreater(load.count, 200)
        self.assertLessEqual(issuer.count, 2)
        self.assertEqual(envoy.said().count("keyturn: issuer_added"), 1)

    def test_keys_stay_when_their_issuers_options_change(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, PAGES, issuer=issuer)
        old = issuer.token()
        self.assertEqual(envoy.ask(token=old).status, 200)
        issuer.up = False
        envoy.issuers[0]["max_keys"] = 100
        self.assertTrue(envoy.push())
        envoy.wait_until_said(f"keyturn: {issuer.url} has other options from now on")
        self.assertEqual(envoy.ask(token=old).status, 200)
        envoy.issuers[0]["algorithms"] = ["RS256"]  # of which it has none
        self.assertTrue(envoy.push())
        self.assertEqual(envoy.ask(token=old).status, 503)

    def test_an_issuer_leaves_with_the_last_configuration_that_names_it(self):
        one, two = self.origin(), self.origin()
        envoy = self.envoy(ORDERS, PAGES, issuer=[one, two])
        for issuer in (one, two):
            self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        (_, second) = envoy.issuers
        envoy.issuers = [second]
        self.assertTrue(envoy.push())
        envoy.wait_for(lambda: one.url not in envoy.ask("/metrics").body)  # its last streams have ended
        self.assertEqual(envoy.ask(token=one.token()).status, 401)
        self.assertEqual(envoy.ask(token=two.token()).status, 200)
        self.assertEqual(two.count, 1)

    def test_all_ends_with_the_last_configuration_and_begins_with_the_next(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, issuer=issuer, store=False)
        for turn in range(3):
            self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
            self.assertIn("keyturn", envoy.thread_names())
            self.assertEqual(issuer.count, turn + 1)
            envoy.write("listeners.json", {"resources": []})
            envoy.wait_for(lambda: "keyturn" not in envoy.thread_names())  # its last streams have ended
            self.assertTrue(envoy.push())
            envoy.wait_for(envoy.listens)

    def test_a_push_leaves_who_is_parked_alone(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, PAGES, issuer=issuer)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        parked = [envoy.begin(token=issuer.token()) for _ in range(5)]
        envoy.wait_for(lambda: envoy.metric("waiters") == 5)
        self.assertTrue(envoy.push(ORDERS | {"leeway_s": 60}))
        more = [envoy.begin(token=issuer.token()) for _ in range(5)]
        envoy.wait_for(lambda: envoy.metric("waiters") == 10)
        issuer.free.set()
        self.assertEqual([connection.getresponse().status for connection in parked + more], [200] * 10)
        self.assertEqual((issuer.count, envoy.metric("waiters")), (2, 0))


class Living(cases.News, OfEnvoy):
    def test_a_restart_finds_its_keys_while_the_issuer_is_down(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, issuer=issuer)
        token = issuer.token()
        self.assertEqual(envoy.ask(token=token).status, 200)
        envoy.wait_until_stored(issuer.signer.kid)
        issuer.up = False
        envoy.restart()
        self.assertEqual(envoy.ask(token=token).status, 200)
        self.assertEqual(issuer.count, 1)

    def test_it_ends_at_once_with_parked_requests(self):
        issuer = self.origin()
        envoy = self.envoy(ORDERS, PAGES, issuer=issuer)
        self.assertEqual(envoy.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        _ = [envoy.begin(token=issuer.token()) for _ in range(5)]
        envoy.wait_for(lambda: envoy.metric("waiters") == 5)
        envoy.stop()
        self.assertEqual(envoy.process.returncode, 0, envoy.said())
