"""ngx_http_keyturn_module in the real nginx: requests that wait, and processes that come and go."""

import os
import shutil
import signal
from pathlib import Path

import cases
from cases import UNHURRIED, Load
from host import ROOT, Stranger, end
from http2 import Streams
from nginx import FOUND, OfNginx, lines
from origin import PATIENCE
from test_nginx import WATCHED


def unhurried(issuer):
    """Where requests wait for one fetch, for which a busy machine may need more than the usual 5 s."""
    options = {"jwks_url": f"{issuer.url}/jwks.json", "allow_http": True} | UNHURRIED
    return f"keyturn_issuer {issuer.url} {{ {lines('', options)} }}"


class Rotations(cases.Rotations, OfNginx):
    pass


class Reloads(cases.Reloads, OfNginx):
    def reload(self, gateway, load, times):
        super().reload(gateway, load, times)
        for word in ("signal", "open socket", "[alert]", "[emerg]"):
            self.assertNotIn(word, gateway.errors())


class Waiting(OfNginx):
    """Requests that are parked, since a fetch may bring their key."""

    def rotated(self, server=WATCHED, **options):
        """nginx with the keys of before a rotation, and the issuer, whose answers wait."""
        issuer = self.origin()
        nginx = self.nginx(server, unhurried(issuer), **options)
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        return nginx, issuer, issuer.count

    def park(self, nginx, issuer, count=1):
        asked = issuer.count
        parked = [nginx.begin(token=issuer.token()) for _ in range(count)]
        issuer.wait_until_asked(asked)
        nginx.wait_for(lambda: nginx.metric("waiters") == count)
        return parked

    def test_the_gauge_and_the_log_tell_who_waits(self):
        nginx, issuer, _ = self.rotated()
        parked = self.park(nginx, issuer, 20)
        issuer.free.set()
        self.assertEqual([connection.getresponse().status for connection in parked], [200] * 20)
        self.assertEqual(nginx.metric("waiters"), 0)
        self.assertGreater(max(int(fields[7]) for fields in nginx.access("/")), 0)

    def test_a_client_that_goes_is_forgotten(self):
        nginx, issuer, _ = self.rotated()
        gone, stays = self.park(nginx, issuer, 2)
        gone.close()
        nginx.wait_for(lambda: nginx.metric("waiters") == 1)
        issuer.free.set()
        self.assertEqual(stays.getresponse().status, 200)
        self.assertEqual(nginx.metric("waiters"), 0)

    def test_a_client_that_has_gone_before_is_forgotten(self):
        nginx, issuer, asked = self.rotated()
        (worker,) = nginx.children()
        os.kill(worker, signal.SIGSTOP)
        try:
            for _ in range(3):
                nginx.begin(token=issuer.token()).close()
        finally:
            os.kill(worker, signal.SIGCONT)
        issuer.wait_until_asked(asked)
        nginx.wait_for(lambda: nginx.metric("waiters") == 0)
        self.assertEqual(nginx.keys()[0]["failures"], 0)  # the fetch goes on
        issuer.free.set()
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)

    def test_an_issuer_that_hangs_is_not_waited_for_without_end(self):
        issuer = self.origin()
        options = f"jwks_url {issuer.url}/jwks.json; allow_http on; fetch_timeout_ms 300; connect_timeout_ms 300;"
        nginx = self.nginx(WATCHED, f"keyturn_issuer {issuer.url} {{ {options} }}")
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        issuer.free.clear()
        issuer.rotate()
        reply = nginx.ask(token=issuer.token())
        self.assertEqual(reply.status, 503)
        self.assertIsNotNone(reply.headers["Retry-After"])
        self.assertEqual(nginx.metric("waiters"), 0)

    def test_a_reload_waits_for_who_is_parked(self):
        nginx, issuer, _ = self.rotated()
        parked = self.park(nginx, issuer, 5)
        old = nginx.reload()
        issuer.free.set()
        self.assertEqual({connection.getresponse().status for connection in parked}, {200})
        nginx.wait_for(lambda: not old & nginx.children())
        self.assertEqual(nginx.metric("waiters"), 0)
        self.assertNotIn("open socket", nginx.said())

    def test_a_worker_that_ends_with_parked_requests_ends_at_once(self):
        nginx, issuer, _ = self.rotated()
        self.park(nginx, issuer, 5)
        nginx.signal("TERM")
        self.assertEqual(nginx.process.wait(PATIENCE), 0)
        self.assertNotIn("signal 11", nginx.said())

    def test_a_worker_that_is_killed_leaves_nobody_waiting(self):
        nginx, issuer, _ = self.rotated()
        parked = self.park(nginx, issuer, 5)
        (worker,) = nginx.children()
        os.kill(worker, signal.SIGKILL)
        for connection in parked:
            with self.assertRaises(OSError):
                connection.getresponse()
        issuer.free.set()
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        self.assertEqual(nginx.metric("waiters"), 0)

    def test_an_http2_stream_that_is_reset_is_forgotten(self):
        servers = (f"server {{ listen unix:{self.folder}/nginx.sock; root {self.folder}/html; {WATCHED} }}"
                   f"server {{ listen unix:{self.folder}/h2.sock http2; root {self.folder}/html; {WATCHED} }}")
        nginx, issuer, _ = self.rotated(servers=servers)
        client = Streams(self, self.folder / "h2.sock")
        streams = [client.begin(issuer.token(sub=f"user-{number}")) for number in range(4)]
        nginx.wait_for(lambda: nginx.metric("waiters") == 4)
        client.reset(streams[0])
        nginx.wait_for(lambda: nginx.metric("waiters") == 3)
        issuer.free.set()
        self.assertEqual(client.statuses(3), {stream: "200" for stream in streams[1:]})
        self.assertEqual(nginx.metric("waiters"), 0)
        self.assertEqual(sorted(fields[9] for fields in nginx.access("/") if fields[9] != "alice" and fields[1] == "200"),
                         ["user-1", "user-2", "user-3"])


def state(process):
    """`T`: it is stopped."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]


class Living(cases.News, OfNginx):
    def test_workers_share_a_fetch(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED + FOUND, unhurried(issuer), workers=8)
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        nginx.wait_until_stored(issuer.signer.kid)
        served = self.ask_each_worker(nginx, lambda: issuer.token())
        self.assertEqual((len(served), issuer.count), (8, 1))
        issuer.rotate()
        crowd = [nginx.begin(token=issuer.token()) for _ in range(40)]
        self.assertEqual({nginx.end(one).status for one in crowd}, {200})
        self.assertEqual(issuer.count, 2)

    def test_the_metrics_of_all_workers_are_summed(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED + FOUND, issuer=issuer, workers=4)
        forged = issuer.forged()
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        nginx.wait_until_stored(issuer.signer.kid)
        served = self.ask_each_worker(nginx, lambda: issuer.token(), 20)
        served += self.ask_each_worker(nginx, lambda: forged, 10, 401)
        self.assertEqual(len(set(served)), 4)
        for status, count in (("JWT_OK", 1 + 4 * 20), ("JWT_BAD_SIGNATURE", 4 * 10)):
            # Whichever of them answers: who counted last knows of it before the others.
            nginx.wait_for(lambda: {nginx.metric("tokens_total", status=status) for _ in range(12)} == {count})  # noqa: B023
        nginx.reload()  # and those who have gone are counted still
        nginx.wait_for(lambda: not set(served) & nginx.children())
        self.assertEqual(nginx.metric("tokens_total", status="JWT_OK"), 1 + 4 * 20)

    def ask_each_worker(self, nginx, token, times=1, status=200):
        """One after the other, since the others are stopped meanwhile; who they were."""
        workers = nginx.children()
        try:
            for worker in workers:
                for other in workers - {worker}:
                    os.kill(other, signal.SIGSTOP)
                os.kill(worker, signal.SIGCONT)
                nginx.wait_for(lambda: all(state(each) == "T" for each in workers - {worker}))  # noqa: B023
                connection = nginx.connection()
                for _ in range(times):
                    self.assertEqual(nginx.ask(f"/by-{worker}", token(), on=connection).status, status)
        finally:
            for worker in workers:
                os.kill(worker, signal.SIGCONT)
        return [int(fields[10]) for worker in workers for fields in nginx.access(f"/by-{worker}")[-1:]]

    def test_a_worker_that_is_killed_is_replaced_by_one_with_keys(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer)
        token = issuer.token()
        self.assertEqual(nginx.ask(token=token).status, 200)
        nginx.wait_until_stored(issuer.signer.kid)
        issuer.up = False
        (worker,) = nginx.children()
        os.kill(worker, signal.SIGKILL)
        nginx.wait_for(lambda: nginx.children() and worker not in nginx.children())
        self.assertEqual(nginx.ask(token=token).status, 200)

    def test_a_new_worker_knows_of_a_rotation_after_it_was_configured(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer)
        old = issuer.token()
        self.assertEqual(nginx.ask(token=old).status, 200)
        issuer.rotate()
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        nginx.wait_until_stored(issuer.signer.kid)
        (worker,) = nginx.children()
        os.kill(worker, signal.SIGKILL)
        nginx.wait_for(lambda: nginx.children() and worker not in nginx.children())
        self.assertNotEqual(nginx.ask(token=old).status, 200)

    def test_a_binary_is_replaced_under_load(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer, workers=2, daemon=True)
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        nginx.wait_until_stored(issuer.signer.kid)
        load = Load(self, nginx, issuer)
        old = nginx.process
        self.addCleanup(end, old)
        nginx.signal("USR2")
        nginx.wait_for(lambda: nginx.read_pid() != old.pid)
        nginx.process = Stranger(nginx.read_pid())
        nginx.wait_for(lambda: len(nginx.children()) == 2)
        issuer.up = False
        old.send_signal(signal.SIGQUIT)
        old.wait(PATIENCE)
        load.end()

    def test_one_process_alone_serves_too(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer, alone=True)
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        issuer.rotate()
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        nginx.signal("QUIT")
        self.assertEqual(nginx.process.wait(PATIENCE), 0)

    def test_a_store_that_cannot_be_used_costs_no_request(self):
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer, start=False)
        (self.folder / "keyturn").mkdir()
        os.chmod(self.folder / "keyturn", 0o777)
        nginx.start()
        self.assertEqual(nginx.ask(token=issuer.token()).status, 200)
        self.assertIn("the store cannot be used", nginx.said())


class Watched(OfNginx):
    def test_no_access_is_out_of_bounds_and_nothing_leaks(self):
        valgrind = shutil.which("valgrind")
        self.assertIsNotNone(valgrind)
        issuer = self.origin()
        nginx = self.nginx(WATCHED, issuer=issuer, alone=True, start=False)
        nginx.start(valgrind, "--quiet", "--error-exitcode=99", f"--log-file={self.folder}/valgrind.log",
                    "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
                    *(f"--suppressions={file}" for file in (self.suppressions, ROOT / "Tests/Hosts/nginx.supp")))
        for token in (None, "a.b", issuer.forged(), issuer.token()):
            nginx.ask(token=token)
        issuer.free.clear()
        issuer.rotate()
        asked = issuer.count
        gone, stays = nginx.begin(token=issuer.token()), nginx.begin(token=issuer.token())
        issuer.wait_until_asked(asked)
        nginx.wait_for(lambda: nginx.metric("waiters") == 2)
        gone.close()
        nginx.wait_for(lambda: nginx.metric("waiters") == 1)
        issuer.free.set()
        self.assertEqual(stays.getresponse().status, 200)
        self.assertEqual(len(nginx.keys()), 1)
        nginx.signal("QUIT")
        status = nginx.process.wait(PATIENCE)
        self.assertEqual(status, 0, (self.folder / "valgrind.log").read_text()[-6000:])
